"""What becomes of a message and of its endpoint after a try: delivered, tried again later, or given up."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from common.tables import WebhookAttempt, WebhookEndpoint, WebhookMessage
from common.tables.webhook_states import DisabledReason, EndpointStatus, Failure, MessageState
from common.tables.webhooks import DIRECT
from common.webhooks import endpoints, retry_schedule
from common.webhooks.claiming import Delivery
from common.webhooks.transport import SUCCESS, Answer

GONE = 410
REDIRECTS = range(300, 400)
THROTTLES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Outcome:
    """What came of a try; no *failure* means that it was delivered."""

    seconds: float
    failure: Failure | None
    status: int | None = None
    text: str | None = None
    retry_after: str | None = None


def judge(answer: Answer, seconds: float) -> Outcome:
    """Return what an answer means."""
    failure: Failure | None = Failure.STATUS
    if answer.status in SUCCESS:
        failure = None
    elif answer.status in REDIRECTS:
        failure = Failure.REDIRECT
    elif answer.status == GONE:
        failure = Failure.GONE
    return Outcome(seconds, failure, answer.status, answer.text, answer.retry_after)


def record(session: Session, delivery: Delivery, outcome: Outcome, moment: datetime) -> MessageState | None:
    """Write what came of *delivery* and return where its message now stands; None if it is another sender's by now."""
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
        _put_off(message, outcome, moment)
        if endpoint.url != DIRECT:
            _blame(session, endpoint, outcome, moment)
        elif outcome.status in THROTTLES:
            _leave_alone(session, message.destination, moment + _throttle(outcome, moment))
    session.flush()
    session.refresh(message, ["state"])
    return message.state


def _write_attempt(session: Session, delivery: Delivery, outcome: Outcome) -> None:
    session.execute(
        update(WebhookAttempt)
        .where(WebhookAttempt.message_id == delivery.message_id, WebhookAttempt.number == delivery.number)
        .values(seconds=outcome.seconds, status=outcome.status, error=outcome.failure, response=outcome.text)
        .execution_options(synchronize_session=False)
    )


def _put_off(message: WebhookMessage, outcome: Outcome, moment: datetime) -> None:
    wait = retry_schedule.wait_after(message.tries - message.earlier_tries)
    if outcome.failure is Failure.GONE:
        message.state, message.ended_at = MessageState.CANCELED, moment
    elif wait is None:
        message.state, message.ended_at = MessageState.EXHAUSTED, moment
    else:
        message.next_at = moment + max(wait, retry_schedule.read_advice(outcome.retry_after, moment) or wait)


def _blame(session: Session, endpoint: WebhookEndpoint, outcome: Outcome, moment: datetime) -> None:
    """Count a failure against its endpoint, and leave that alone for a while, or for good."""
    if endpoint.status is EndpointStatus.DISABLED:
        return
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or moment
    if outcome.failure is Failure.GONE:
        endpoints.disable(session, endpoint, DisabledReason.GONE)
    elif retry_schedule.is_broken(endpoint.failures, moment - endpoint.failing_since):
        endpoints.disable(session, endpoint, DisabledReason.FAILING)
    else:
        _pause(session, endpoint, outcome, moment)


def _pause(session: Session, endpoint: WebhookEndpoint, outcome: Outcome, moment: datetime) -> None:
    pause = retry_schedule.pause_after(endpoint.failures)
    if outcome.status in THROTTLES:
        pause = max(pause, _throttle(outcome, moment))
    if pause:
        endpoint.resume_at = max(moment + pause, endpoint.resume_at or moment)
        _leave_alone(session, endpoint.id.hex, endpoint.resume_at)


def _throttle(outcome: Outcome, moment: datetime) -> timedelta:
    """Return for how long a receiver wants to be left alone that has too much to do."""
    return retry_schedule.read_advice(outcome.retry_after, moment) or retry_schedule.SHORTEST_PAUSE


def _leave_alone(session: Session, destination: str, until: datetime) -> None:
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
