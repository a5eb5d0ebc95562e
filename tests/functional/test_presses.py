"""Two presses and many orders: nobody hoards, the urgent overtake, owners share fairly."""

import time
from collections import Counter
from pathlib import Path

from common.states import JobStatus, Priority
from tests.functional.stack import Stack, until

PRESSES = 2
MOST_IN_HAND = 2
"""What a press of capacity one may hold: a job that is stepped, and one whose images are being stored."""


def test_40_jobs_of_two_owners_are_shared_fairly_and_the_urgent_overtake(stack: Stack) -> None:
    ada, grace = stack.client("ada"), stack.client("grace")
    bulk = [ada.order(steps=4, priority="bulk") for _ in range(10)]
    bulk += [grace.order(steps=4, priority="bulk") for _ in range(10)]
    urgent = [ada.order(steps=4) for _ in range(10)]
    urgent += [grace.order(steps=4) for _ in range(10)]
    last_order = stack.rows(urgent[-1])[0].created_at

    most_in_hand: Counter[object] = Counter()
    while stack.count(JobStatus.SUCCEEDED, bulk + urgent) < 40:
        in_hand = Counter(row.press_id for row in stack.rows(*bulk, *urgent) if row.status is JobStatus.RUNNING)
        most_in_hand |= in_hand
        time.sleep(0.02)
    assert most_in_hand
    assert max(most_in_hand.values()) <= MOST_IN_HAND

    rows = {row.id: row for row in stack.rows(*bulk, *urgent)}
    started = [rows[attempt.job_id] for attempt in stack.attempts(*bulk, *urgent) if attempt.started_at > last_order]
    classes = [row.priority for row in started]
    assert classes == sorted(classes, key=list(Priority).index), "all that is urgent comes first"
    for priority in Priority:
        owners = [row.owner for row in started if row.priority is priority]
        _check_fair(owners)
    assert {attempt.press_id for attempt in stack.attempts(*bulk, *urgent)} == {press.id for press in stack.presses()}


def _check_fair(owners: list[str]) -> None:
    """While both have work waiting, neither is ever more than a few jobs ahead."""
    left = Counter(owners)
    served: Counter[str] = Counter()
    for owner in owners:
        if min(left.values()) == 0:
            return
        served[owner] += 1
        left[owner] -= 1
        assert abs(served["ada"] - served["grace"]) <= 3, owners


def test_a_job_is_printed_by_one_press_alone(stack: Stack) -> None:
    ordered = [stack.client().order(num_images=2) for _ in range(10)]
    stack.settle(ordered)
    attempts = stack.attempts(*ordered)
    assert len(attempts) == 10
    assert len({attempt.press_id for attempt in attempts}) == 2


def test_a_painted_press_carries_no_torch(stack: Stack) -> None:
    for press in stack.presses():
        loaded = Path(f"/proc/{press.pid}/maps")
        if loaded.exists():
            assert "libtorch" not in loaded.read_text()


def test_the_presses_are_known_by_their_heartbeat(stack: Stack) -> None:
    before = {press.id: press.heartbeat_at for press in stack.presses()}
    assert len(before) == 2
    until(lambda: all(press.heartbeat_at > before[press.id] for press in stack.presses()), "a heartbeat")
