"""Records the outcome of a delivery: delivered, retried later, or exhausted."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from common.states.webhooks import DisabledReason, EndpointStatus, Failure, MessageState
from common.tables import WebhookAttempt, WebhookEndpoint, WebhookMessage
from common.tables.webhooks import DIRECT_URL
from common.webhooks import endpoints, retry_schedule
from common.webhooks.claiming import Delivery
from common.webhooks.transport import SUCCESS, ReceiverResponse

GONE = 410
REDIRECTS = range(300, 400)
THROTTLES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class DeliveryOutcome:
    """What came of a try; no *failure* means that it was delivered."""

    seconds: float
    failure: Failure | None
    status: int | None = None
    text: str | None = None
    retry_after: str | None = None


def classify_response(answer: ReceiverResponse, seconds: float) -> DeliveryOutcome:
    """Return the outcome of a response."""
    failure: Failure | None = Failure.STATUS
    if answer.status in SUCCESS:
        failure = None
    elif answer.status in REDIRECTS:
        failure = Failure.REDIRECT
    elif answer.status == GONE:
        failure = Failure.GONE
    return DeliveryOutcome(seconds, failure, answer.status, answer.text, answer.retry_after)


def record_outcome(
    session: Session, delivery: Delivery, outcome: DeliveryOutcome, moment: datetime
) -> MessageState | None:
    """Record the result of *delivery*; return the new state of its message, or None if another sender has it now."""
    its_own = select(WebhookEndpoint).where(WebhookEndpoint.id == delivery.endpoint_id)
    endpoint = session.scalar(its_own.with_for_update(key_share=True))
    if endpoint is None:
        return None
    # The message is locked before its attempts, here as by whoever claims it.
    by_id = select(WebhookMessage).where(WebhookMessage.id == delivery.message_id)
    message = session.scalar(by_id.with_for_update())
    _write_attempt(session, delivery, outcome)
    if message is None or message.tries != delivery.number or message.lease_until is None:
        return None
    message.lease_until = None
    if outcome.failure is None:
        message.state, message.ended_at = MessageState.DELIVERED, moment
        endpoint.failures, endpoint.failing_since, endpoint.resume_at = 0, None, None
    elif message.state is MessageState.PENDING:
        _schedule_retry(message, outcome, moment)
        if endpoint.url != DIRECT_URL:
            _record_endpoint_failure(session, endpoint, outcome, moment)
        elif outcome.status in THROTTLES:
            _defer_messages(session, message.destination, moment + _compute_throttle_pause(outcome, moment))
    session.flush()
    session.refresh(message, ["state"])
    return message.state


def _write_attempt(session: Session, delivery: Delivery, outcome: DeliveryOutcome) -> None:
    session.execute(
        update(WebhookAttempt)
        .where(WebhookAttempt.message_id == delivery.message_id, WebhookAttempt.number == delivery.number)
        .values(seconds=outcome.seconds, status=outcome.status, error=outcome.failure, response=outcome.text)
        .execution_options(synchronize_session=False)
    )


def _schedule_retry(message: WebhookMessage, outcome: DeliveryOutcome, moment: datetime) -> None:
    wait = retry_schedule.compute_retry_wait(message.tries - message.earlier_tries)
    if outcome.failure is Failure.GONE:
        message.state, message.ended_at = MessageState.CANCELED, moment
    elif wait is None:
        message.state, message.ended_at = MessageState.EXHAUSTED, moment
    else:
        message.next_at = moment + max(wait, retry_schedule.parse_retry_after(outcome.retry_after, moment) or wait)


def _record_endpoint_failure(
    session: Session, endpoint: WebhookEndpoint, outcome: DeliveryOutcome, moment: datetime
) -> None:
    """Count a failure against its endpoint, and leave that alone for a while, or for good."""
    if endpoint.status is EndpointStatus.DISABLED:
        return
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or moment
    if outcome.failure is Failure.GONE:
        endpoints.disable_endpoint(session, endpoint, DisabledReason.GONE)
    elif retry_schedule.is_broken(endpoint.failures, moment - endpoint.failing_since):
        endpoints.disable_endpoint(session, endpoint, DisabledReason.FAILING)
    else:
        _pause_endpoint(session, endpoint, outcome, moment)


def _pause_endpoint(session: Session, endpoint: WebhookEndpoint, outcome: DeliveryOutcome, moment: datetime) -> None:
    pause = retry_schedule.compute_pause(endpoint.failures)
    if outcome.status in THROTTLES:
        pause = max(pause, _compute_throttle_pause(outcome, moment))
    if pause:
        endpoint.resume_at = max(moment + pause, endpoint.resume_at or moment)
        _defer_messages(session, endpoint.id.hex, endpoint.resume_at)


def _compute_throttle_pause(outcome: DeliveryOutcome, moment: datetime) -> timedelta:
    """Return for how long a receiver wants to be left alone that has too much to do."""
    return retry_schedule.parse_retry_after(outcome.retry_after, moment) or retry_schedule.SHORTEST_PAUSE


def _defer_messages(session: Session, destination: str, until: datetime) -> None:
    """Put off whatever else waits for a receiver and is not being tried."""
    session.flush()
    session.execute(
        update(WebhookMessage)
        .where(
            WebhookMessage.destination == destination,
            WebhookMessage.state == MessageState.PENDING,
            WebhookMessage.lease_until.is_(None),
            WebhookMessage.next_at < until,
        )
        .values(next_at=until)
        .execution_options(synchronize_session=False)
    )
