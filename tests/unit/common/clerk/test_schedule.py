"""A backlog is worked off batch after batch, and keeps nothing else waiting."""

import threading
from collections.abc import Sequence
from uuid import UUID

from common.clerk.schedule import Duty, run_duties
from common.clerk.sweeps import Sweep
from common.errors import StorageError

LATER = 3600.0


class Recorder:
    """Duties that write down when they run, and stop the schedule after the last."""

    def __init__(self, most: int) -> None:
        self.stop = threading.Event()
        self.runs: list[str] = []
        self._most = most

    def duty(self, name: str, every_seconds: float, batch: int | None, *results: int) -> Duty:
        """Return a duty that returns *results*, one after the other, then zero."""
        left = list(results)

        def run() -> int:
            self.runs.append(name)
            if len(self.runs) >= self._most:
                self.stop.set()
            return left.pop(0) if left else 0

        return Duty(name, every_seconds, run, batch)


def test_a_duty_is_repeated_at_once_while_it_finds_full_batches() -> None:
    recorder = Recorder(most=4)
    duties = [recorder.duty("erase", LATER, 10, 10, 12, 10, 9), recorder.duty("never", LATER, None)]
    run_duties(duties, recorder.stop)
    assert recorder.runs == ["never", *["erase"] * 3], "the schedule stopped after the fourth run"


def test_a_duty_that_found_less_than_a_batch_waits_for_its_interval() -> None:
    recorder = Recorder(most=3)
    duties = [recorder.duty("erase", LATER, 10, 9, 9), recorder.duty("tick", 0.001, None)]
    run_duties(duties, recorder.stop)
    assert recorder.runs == ["tick", "erase", "tick"]


def test_short_duties_run_between_two_batches_and_backlogs_take_turns() -> None:
    recorder = Recorder(most=9)
    duties = [
        recorder.duty("tick", 0.0, None),
        recorder.duty("images", LATER, 10, *[10] * 9),
        recorder.duty("prompts", LATER, 10, *[10] * 9),
    ]
    run_duties(duties, recorder.stop)
    assert recorder.runs == ["tick", "images", "tick", "prompts", "tick", "images", "tick", "prompts", "tick"]


def test_a_duty_that_fails_waits_for_its_interval_and_stops_no_other() -> None:
    recorder = Recorder(most=2)

    def fail() -> int:
        recorder.runs.append("failed")
        raise StorageError

    run_duties([Duty("erase", LATER, fail, 10), recorder.duty("tick", 0.001, None)], recorder.stop)
    assert recorder.runs.count("failed") == 1


def test_a_sweep_goes_past_rows_that_it_cannot_deal_with_and_then_starts_over() -> None:
    rows = [UUID(int=number) for number in range(1, 6)]

    def deal(after: UUID, most: int) -> Sequence[UUID]:
        return [row for row in rows if row > after][:most]

    sweep = Sweep(deal, batch=2)
    assert [sweep.run() for _ in range(4)] == [2, 2, 1, 2]
    assert sweep.after == rows[1]
