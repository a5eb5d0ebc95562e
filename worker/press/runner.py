"""What a press does when it hears a bell: claim a job, print it, and settle it exactly once."""

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
)
from common.failpoints import fault
from common.images import quarantine
from common.jobs import attempts, lifecycle
from common.jobs.attempts import Claim, Spent
from common.logs import bound, get_logger
from common.tables import Image
from worker.press import init_images
from worker.press.held_job import Work
from worker.press.press import Press
from worker.press.publish import publish

Ending = Callable[[Session], object]
"""What is written, in one transaction, when an attempt ends."""

End = Callable[[Session, Claim, Sequence[Image], Spent], None]
"""What enters the images of a job with its end."""

log = get_logger(__name__)


def hear(press: Press) -> None:
    """Claim the best due job as soon as the engine has room, and see it to its end; do nothing if none is due."""
    fault("heard")
    with press.claimed() as claimed:
        if claimed is None:
            return
        work, leave_room = claimed
        with bound(job_id=work.claim.job_id, attempt=work.claim.attempt), press.holding(work):
            fault("claimed")
            ending = _run(press, work, leave_room)
            _settle(press, work, ending)


def _run(press: Press, work: Work, leave_room: Callable[[], None]) -> Ending:
    """Print a job and publish its images; return how the attempt ends, whatever happens."""
    claim = work.claim
    try:
        printed = press.engine.generate(claim.request, work, init_images.fetch(press, work), claim.priority)
        work.is_printed = True
        leave_room()  # the tail needs no accelerator: another thread may have it
        fault("generated")
        images = publish(press, work, printed)
        fault("uploaded")
    except InterruptedAttemptError:
        log.info("attempt_interrupted")
        return _book_late(work)
    except DrainingError:
        log.info("attempt_released")
        return lambda session: lifecycle.release(session, claim, work.spent)
    except RerollError:
        log.info("job_rerolled", rerolls=claim.rerolls + 1)
        return lambda session: lifecycle.reroll(session, claim, work.spent)
    except PressroomError as error:
        return _fail(press, work, error)
    except Exception:  # the boundary: whatever goes wrong in one job must end that job, not the press
        log.exception("attempt_broke")
        return _fail(press, work, PressroomError("Something unforeseen went wrong while the picture was made."))
    end = lifecycle.succeed
    if not any(image.status.is_readable for image in images):
        end = lifecycle.block
    log.info("job_printed", end=end.__name__, images=len(images), gpu_seconds=round(work.spent.gpu_seconds, 4))
    return partial(_publish_rows, press, work, end, images)


def _publish_rows(press: Press, work: Work, end: End, images: Sequence[Image], session: Session) -> None:
    end(session, work.claim, images, work.spent)
    quarantine.enter(session, images, press.settings.quarantine_days)


def _fail(press: Press, work: Work, error: PressroomError) -> Ending:
    if isinstance(error, StorageError) and not press.outlet.try_out():
        log.warning("attempt_handed_back", code=error.code, reason=error.message)
        return lambda session: lifecycle.hand_back(session, work.claim, error, work.spent)
    log.warning("attempt_failed", code=error.code, retryable=error.retryable, reason=error.message)
    return lambda session: lifecycle.fail(session, work.claim, error, work.spent)


def _settle(press: Press, work: Work, ending: Ending) -> None:
    """Write the end of an attempt, and keep trying while the database is away; a press that leaves waits for a lease.

    Without its database a press can claim nothing else, and what it has printed may still be its own when that is back.
    What an attempt has spent must not be lost either: the press's meter counts it, and the two would disagree.
    A commit whose outcome stayed unknown may have succeeded: then the next try finds the job settled and is fenced
    off, which changes nothing. If another attempt holds the job, only what was spent is entered.
    """
    give_up = time.monotonic() + press.settings.lease_seconds
    while True:
        try:
            with press.database.transaction() as session:
                press.report(session)  # first, as the beat does: two orders of locking rows would be a deadlock
                ending(session)
        except FencedError:
            log.info("attempt_fenced")
            ending = _book_late(work)
        except DatabaseUnavailableError as error:
            if press.is_leaving and time.monotonic() > give_up:
                raise
            log.warning("settling_failed", reason=error.message)
            time.sleep(press.settings.beat_seconds)
        else:
            fault("committed")
            return


def _book_late(work: Work) -> Ending:
    return lambda session: attempts.book_late(session, work.claim, work.spent)
