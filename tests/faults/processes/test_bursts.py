"""Bursts: many presses that start at once, and submissions that arrive faster than they can be accepted."""

import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from common.states.jobs import JobStatus, Outcome
from tests.faults.support import press_process
from tests.functional.stack import Stack

PRESSES = 5
HANDS, ORDERS, ROOM = 32, 2000, 200


def test_f56_jobs_wait_without_a_press_and_many_presses_print_each_once(stack: Stack) -> None:
    ordered = [stack.client().order() for _ in range(3 * PRESSES)]
    assert stack.count(JobStatus.QUEUED, ordered) == len(ordered)
    with ThreadPoolExecutor(PRESSES) as pool, ExitStack() as presses:  # a press ends with the thread that started it
        starting = [press_process.press(stack) for _ in range(PRESSES)]
        list(pool.map(presses.enter_context, starting))
        assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}
    assert [attempt.outcome for attempt in stack.attempts(*ordered)] == [Outcome.SUCCEEDED] * len(ordered)


def test_f65_a_burst_of_submissions_is_accepted_or_refused_for_now_without_an_error(stack: Stack) -> None:
    numbers, lock = itertools.count(), threading.Lock()
    answers: Counter[int] = Counter()
    body = {"prompt": "a lighthouse", "width": 64, "height": 64, "steps": 1}

    with press_process.api(stack, PRESSROOM_MAX_QUEUED_JOBS=str(ROOM)) as client:

        def order() -> None:
            while next(numbers) < ORDERS:
                answer = client.http.post("/v1/jobs", json=body)
                with lock:
                    answers[answer.status_code] += 1
                    if answer.is_success:
                        stack.client().accepted.append(answer.json()["id"])
                    else:
                        assert int(answer.headers["Retry-After"]) > 0

        with ThreadPoolExecutor(HANDS) as pool:
            for done in [pool.submit(order) for _ in range(HANDS)]:
                done.result()
    assert set(answers) <= {202, 429, 503}
    assert answers.total() == ORDERS
    assert answers[202] >= ROOM
    print(f"of {ORDERS} orders at once {answers[202]} were taken, {answers[429]} and {answers[503]} put off")
    with press_process.press(stack, **press_process.HASTY):
        taken = stack.client().accepted[-answers[202] :]
        assert {row.status for row in stack.settle(taken, 120)} == {JobStatus.SUCCEEDED}
