"""Event ids over every history that a job can have: nothing is missed and nothing sent twice."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest

from api.runtime.event_ids import EventPosition, JobSnapshot, find_position, list_status_changes, parse_event_id
from common.states.jobs import JOB_TRANSITIONS, JobStatus

LONGEST = 7
History = list[tuple[JobStatus, int]]


def list_histories(history: History) -> Iterator[History]:
    """Yield every history that begins with *history*, as statuses with the number of the attempt."""
    yield history
    status, attempt = history[-1]
    if len(history) < LONGEST:
        for target in sorted(JOB_TRANSITIONS[status]):
            yield from list_histories([*history, (target, attempt + (target is JobStatus.RUNNING))])


HISTORIES = list(list_histories([(JobStatus.QUEUED, 0)]))


def snapshot(status: JobStatus = JobStatus.RUNNING, attempt: int = 1, step: int = 0) -> JobSnapshot:
    return JobSnapshot(status, attempt, step, steps=20, num_images=2)


def test_the_generated_histories_end_in_every_status() -> None:
    assert {history[-1][0] for history in HISTORIES} == set(JobStatus)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: "-".join(status[:3] for status, _ in history))
def test_a_returning_client_gets_exactly_the_missed_statuses(history: History) -> None:
    snapshots = [snapshot(status, attempt) for status, attempt in history]
    for then, now in combinations(range(len(history)), 2):
        was_queued_last = history[now - 1][0] is JobStatus.QUEUED
        moves = list(
            list_status_changes(EventPosition(snapshots[then].turn, 0), snapshots[now], was_queued_last=was_queued_last)
        )
        assert [(move.status, move.attempt) for move in moves] == history[then + 1 : now + 1]
        assert all(before.place < after.place for before, after in pairwise(moves))
        assert moves[-1].place == EventPosition(snapshots[now].turn, 0)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: "-".join(status[:3] for status, _ in history))
def test_a_new_client_gets_the_current_status_and_an_up_to_date_one_nothing(history: History) -> None:
    now = snapshot(*history[-1])
    (move,) = list_status_changes(None, now)
    assert (move.status, move.attempt) == history[-1]
    assert list(list_status_changes(move.place, now)) == []
    assert list(list_status_changes(now.last, now)) == []


@pytest.mark.parametrize(
    "event_id", ["", "1", "1.", ".1", "1.2.3", "-1.2", "1,2", " 1.2", "1.2\n", "１.2", "1" * 20 + ".1"]
)
def test_a_malformed_id_has_no_position(event_id: str) -> None:
    assert parse_event_id(event_id) is None
    assert find_position(event_id, snapshot()) is None


def test_an_id_encodes_its_position() -> None:
    assert parse_event_id(EventPosition(3, 14).id) == EventPosition(3, 14)


@pytest.mark.parametrize(
    ("now", "reached", "beyond"),
    [
        (snapshot(JobStatus.QUEUED, attempt=0), "0.0", "1.0"),
        (snapshot(JobStatus.RUNNING, attempt=1, step=3), "1.5", "2.0"),
        (snapshot(JobStatus.SUCCEEDED, attempt=1), "3.3", "3.4"),
    ],
)
def test_an_id_beyond_the_state_of_the_job_has_no_position(now: JobSnapshot, reached: str, beyond: str) -> None:
    assert find_position(reached, now) == parse_event_id(reached)
    assert find_position(beyond, now) is None


def test_progress_is_ordered_after_its_status_and_before_the_next() -> None:
    running = snapshot(step=3)
    assert running.progress is not None
    assert EventPosition(1, 0) < running.progress < EventPosition(2, 0)
    assert snapshot(step=0).progress is None
    assert snapshot(JobStatus.QUEUED, attempt=1, step=3).progress is None
