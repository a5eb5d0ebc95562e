"""What a print becomes once its job has ended, case by case."""

from decimal import Decimal
from typing import Any

import pytest

from common.campaigns.printing.settlement import BLOCKED, PrintUpdate, _settle_job
from common.campaigns.spec import OnBlock
from common.db.ids import create_id
from common.states.campaigns import PrintStatus
from common.states.jobs import ImageStatus, JobStatus, Verdict
from common.tables import Image, Job, Print
from tests.support.campaigns.campaign_fixture import spec


def an_image(score: float | None = None, **columns: Any) -> Image:
    columns = {"status": ImageStatus.DELIVERED, "verdict": Verdict.PASS, "safety": {}} | columns
    return Image(id=create_id(), amount=Decimal(2), palette_score=score, **columns)


def settle(
    status: JobStatus, image: Image | None, before: Image | None = None, rerolls: int = 0, **changes: Any
) -> PrintUpdate:
    error_code = changes.pop("error_code", None)
    made = Print(
        id=create_id(),
        status=changes.pop("stands", PrintStatus.ORDERED),
        image_id=before.id if before is not None else None,
        rerolls=rerolls,
        amount=Decimal(1),
        held=Decimal(3),
    )
    job = Job(status=status, error_code=error_code, error_message="why", error_retryable=True)
    kept = {before.id: before} if before is not None else {}
    chosen = spec(palette_floor=0.5, max_rerolls=2, **changes)
    settled = _settle_job(made, job, image, kept, chosen, may_roll=True)
    assert (settled.id, settled.held) == (made.id, 0)
    return settled


@pytest.mark.parametrize(
    ("score", "earlier", "rerolls", "status", "takes_new"),
    [
        (None, None, 0, PrintStatus.PRINTED, True),
        (0.9, None, 0, PrintStatus.PRINTED, True),
        (0.1, None, 0, PrintStatus.WAITING, True),
        (0.1, None, 2, PrintStatus.PRINTED, True),
        (0.1, 0.2, 1, PrintStatus.WAITING, False),
        (0.1, 0.2, 2, PrintStatus.PRINTED, False),
        (0.3, 0.2, 2, PrintStatus.PRINTED, True),
    ],
)
def test_the_best_image_is_kept_and_one_off_the_palette_is_rolled_again_a_few_times(
    score: float | None, earlier: float | None, rerolls: int, status: PrintStatus, takes_new: bool
) -> None:
    image, before = an_image(score), None if earlier is None else an_image(earlier)
    settled = settle(JobStatus.SUCCEEDED, image, before, rerolls)
    assert settled.status is status
    assert settled.image_id == (image if takes_new or before is None else before).id
    assert settled.rerolls == rerolls + (status is PrintStatus.WAITING)
    assert settled.amount == 3


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED])
def test_a_reroll_that_fails_leaves_the_earlier_image(status: JobStatus) -> None:
    before = an_image(0.2)
    settled = settle(status, None, before, rerolls=1)
    assert (settled.status, settled.image_id, settled.error_code) == (PrintStatus.PRINTED, before.id, None)


@pytest.mark.parametrize(
    ("on_block", "rerolls", "status"),
    [
        (OnBlock.FAIL, 0, PrintStatus.BLOCKED),
        (OnBlock.FALLBACK, 0, PrintStatus.BLOCKED),
        (OnBlock.REROLL, 1, PrintStatus.WAITING),
        (OnBlock.REROLL, 2, PrintStatus.BLOCKED),
    ],
)
def test_a_blocked_print_is_rolled_again_only_where_the_campaign_says_so(
    on_block: OnBlock, rerolls: int, status: PrintStatus
) -> None:
    settled = settle(JobStatus.FAILED, None, rerolls=rerolls, on_block=on_block, error_code=BLOCKED)
    assert settled.status is status
    assert settled.error_code == (BLOCKED if status is PrintStatus.BLOCKED else None)


def test_a_stand_in_counts_as_a_block_and_is_remembered_for_a_reviewer() -> None:
    stand_in = an_image(safety={"fallback_for": "x"}, verdict=Verdict.BLOCK)
    settled = settle(JobStatus.SUCCEEDED, stand_in)
    assert (settled.status, settled.image_id, settled.amount) == (PrintStatus.BLOCKED, stand_in.id, 1)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (JobStatus.FAILED, PrintStatus.FAILED),
        (JobStatus.EXPIRED, PrintStatus.FAILED),
        (JobStatus.CANCELED, PrintStatus.CANCELED),
    ],
)
def test_a_failed_job_gives_its_error_to_its_print(status: JobStatus, expected: PrintStatus) -> None:
    settled = settle(status, None, error_code="out_of_memory")
    assert (settled.status, settled.error_code, settled.error_retryable) == (expected, "out_of_memory", True)


def test_an_erased_print_is_only_charged() -> None:
    settled = settle(JobStatus.SUCCEEDED, an_image(), stands=PrintStatus.ERASED)
    assert (settled.status, settled.image_id, settled.amount) == (PrintStatus.ERASED, None, 3)
