"""Clerks and presses that die over a campaign, at points and at random: every row is printed once all the same."""

import signal
import time
from contextlib import AbstractContextManager, ExitStack, closing
from random import Random
from typing import Any

import pytest

from tests.faults.support import press_process
from tests.functional.stack import Stack
from tests.soak import stack
from tests.support.campaigns.runs import Run
from tests.support.waiting import until

LEAST_REST_SECONDS, MOST_REST_SECONDS = 0.2, 1.5


class Crew:
    """A press and a clerk that are killed one after the other, and replaced at once."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._hands: dict[str, tuple[ExitStack, Any]] = {}
        for role in ("press", "clerk"):
            self._hire(role)

    def kill(self, role: str) -> None:
        """Kill the process of a role, the stack's own clerk too, as a lost machine does."""
        place, process = self._hands[role]
        process.send_signal(signal.SIGKILL)
        if role == "clerk":
            for other in stack.find(self._stack, "clerk"):
                stack.kill(other)
        process.wait()
        place.close()
        self._hire(role)

    def close(self) -> None:
        for place, _ in self._hands.values():
            place.close()

    def _hire(self, role: str) -> None:
        opened: AbstractContextManager[Any]
        opened = (
            press_process.clerk(self._stack)
            if role == "clerk"
            else press_process.press(self._stack, **press_process.HASTY)
        )
        place = ExitStack()
        self._hands[role] = place, place.enter_context(opened)


def _kill_at_random(stack: Stack, people: int, kills: int, seed: int) -> None:
    lot = Random(seed)
    with closing(Crew(stack)) as crew:
        run = Run(stack.client(), people)
        for _ in range(kills):
            time.sleep(lot.uniform(LEAST_REST_SECONDS, MOST_REST_SECONDS))
            crew.kill(lot.choice(("press", "clerk")))
        run.finish(people, seconds=900)


@pytest.mark.parametrize("point", ["feeding", "settling"])
def test_f49_a_clerk_that_dies_at_work_on_a_campaign_leaves_it_consistent(stack: Stack, point: str) -> None:
    with press_process.clerk(stack, f"{point}:kill@2") as doomed, press_process.press(stack, **press_process.HASTY):
        run = Run(stack.client(), 40)
        run.finish(40)
        assert doomed.wait(60) == -signal.SIGKILL


def test_f49_f50_clerks_and_presses_are_killed_at_random_and_each_row_is_printed_once(stack: Stack) -> None:
    _kill_at_random(stack, people=150, kills=4, seed=1)


def test_f51_the_sums_of_a_campaign_stopped_under_way_add_up(stack: Stack) -> None:
    with press_process.press(stack):
        run = Run(stack.client(), 30)
        until(lambda: run.printed, "the first prints")
        run.do("pause")
        run.do("resume")
        until(lambda: run.printed > 3, "more prints")
        assert run.do("cancel")["status"] == "canceled"
        until(lambda: not run.look()["progress"]["prints"]["ordered"], "what was in hand to be finished")
    counts = run.look()["progress"]["prints"]
    assert counts["printed"] + counts["canceled"] == 30


@pytest.mark.timeout(1800)
def test_f52_thirty_crashes_in_a_campaign_of_two_thousand_print_each_row_once(stack: Stack) -> None:
    _kill_at_random(stack, people=2000, kills=30, seed=2)
