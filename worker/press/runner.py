"""Handle a notification: claim a job, run it, and settle it exactly once."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy.orm import Session

from common.errors import (
    DatabaseUnavailableError,
    DrainingError,
    FencedError,
    InterruptedAttemptError,
    PressroomError,
    RerollError,
    StorageError,
    UnforeseenError,
)
from common.failpoints import failpoint
from common.images import quarantine
from common.jobs import attempts, lifecycle
from common.jobs.attempts import Claim, Spent
from common.logs import bind_log_context, get_logger
from common.tables import Image
from worker.pictures import masks
from worker.press import init_images
from worker.press.held_job import HeldJob
from worker.press.press import Press
from worker.press.publish import publish_images

Settlement = Callable[[Session], object]
"""Function that writes the end of an attempt in one transaction."""

OutcomeWriter = Callable[[Session, Claim, Sequence[Image], Spent], None]
"""Function that inserts a job's images together with its end."""

log = get_logger(__name__)


def run_next_job(press: Press) -> None:
    """Claim the best due job as soon as the engine has room and run it to its end; do nothing if none is due."""
    failpoint("received")
    with press.claimed() as claimed:
        if claimed is None:
            return
        work, leave_room = claimed
        with (
            bind_log_context(job_id=work.claim.job_id, attempt=work.claim.attempt),
            press.holding(work),
        ):
            failpoint("claimed")
            ending = _run_attempt(press, work, leave_room)
            _settle_attempt(press, work, ending)


def _run_attempt(press: Press, work: HeldJob, leave_room: Callable[[], None]) -> Settlement:
    """Generate and publish a job's images; always return how the attempt ends."""
    claim = work.claim
    try:
        inputs = init_images.fetch_inputs(press, work)
        printed = masks.restore_pictures(press.engine.generate(claim.request, work, inputs, claim.priority), inputs)
        work.is_printed = True
        leave_room()  # the tail does not need the accelerator: another thread may use it
        failpoint("generated")
        images = publish_images(press, work, printed)
        failpoint("uploaded")
    except InterruptedAttemptError:
        log.info("attempt_interrupted")
        return _record_late_spending(work)
    except DrainingError:
        log.info("attempt_released")
        return lambda session: lifecycle.release_job(session, claim, work.spent)
    except RerollError:
        log.info("job_rerolled", rerolls=claim.rerolls + 1)
        return lambda session: lifecycle.reroll_job(session, claim, work.spent)
    except PressroomError as error:
        return _fail_attempt(press, work, error)
    except Exception:  # boundary: an error in one job must end that attempt, not the press
        log.exception("attempt_crashed")
        return _fail_attempt(press, work, UnforeseenError())
    press.breaker.record_success()
    end = lifecycle.succeed_job
    if not any(image.status.is_readable for image in images):
        end = lifecycle.block_job
    log.info("job_printed", end=end.__name__, images=len(images), gpu_seconds=round(work.spent.gpu_seconds, 4))
    return partial(_settle_with_images, press, work, end, images)


def _settle_with_images(
    press: Press, work: HeldJob, end: OutcomeWriter, images: Sequence[Image], session: Session
) -> None:
    end(session, work.claim, images, work.spent)
    quarantine.quarantine_images(session, images, press.settings.quarantine_days)


def _fail_attempt(press: Press, work: HeldJob, error: PressroomError) -> Settlement:
    if isinstance(error, StorageError) and not press.outlet.probe():
        log.warning("attempt_handed_back", code=error.code, reason=error.message)
        return lambda session: lifecycle.return_unprinted_job(session, work.claim, error, work.spent)
    log.warning("attempt_failed", code=error.code, retryable=error.retryable, reason=error.message)
    press.note_failure(work.claim, error)
    return lambda session: lifecycle.fail_job(session, work.claim, error, work.spent)


def _settle_attempt(press: Press, work: HeldJob, ending: Settlement) -> None:
    """Write the end of an attempt, retrying while the database is unavailable; a draining press retries for one lease.

    Without the database a press cannot claim anything else, and it may still own the finished job when the database
    returns. The attempt's cost must not be lost either: the press's meter counts it, and the two would disagree.
    A commit with an unknown outcome may have succeeded: the next try then finds the job settled and is fenced off,
    which changes nothing. If another attempt holds the job, only the cost is recorded.
    """
    retry_until = time.monotonic() + press.settings.lease_seconds
    while True:
        try:
            with press.database.transaction() as session:
                press.report(session)  # first, as in the heartbeat: locking rows in two different orders could deadlock
                ending(session)
        except FencedError:
            log.info("attempt_fenced")
            ending = _record_late_spending(work)
        except DatabaseUnavailableError as error:
            if press.is_leaving and time.monotonic() > retry_until:
                raise
            log.warning("settling_failed", reason=error.message)
            time.sleep(press.settings.beat_seconds)
        else:
            failpoint("committed")
            return


def _record_late_spending(work: HeldJob) -> Settlement:
    return lambda session: attempts.record_late_spend(session, work.claim, work.spent)
