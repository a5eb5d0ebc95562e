"""Two owners who submit jobs all the time, as well-behaved clients do: each request has a key and is retried.

Some orders are bulk, some have deadlines, some tell a webhook, some are sent twice, and some are canceled.
"""

import itertools
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Any

import httpx2

from tests.functional.stack import CUSTOMER_TEXT, Client, Stack
from tests.soak.history import History

OWNERS = ("ada", "grace")
HANDS = 12
"""Requests in flight at once."""

ASK_SECONDS, AGAIN_SECONDS, GIVE_UP_SECONDS = 10.0, 0.5, 300.0
REFUSED = 400


class Customers:
    """Submits jobs, and remembers which were accepted."""

    def __init__(self, stack: Stack, hook_url: str, seed: int, history: History) -> None:
        self._clients = [stack.client(owner) for owner in OWNERS]
        for client in self._clients:
            client.http.timeout = ASK_SECONDS
        self._hook_url = hook_url
        self._random = Random(seed)
        self._history = history
        self._numbers = itertools.count(1)
        self._hands = ThreadPoolExecutor(HANDS)
        self._sent: list[Future[None]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="customers")
        self._rate = 0.0
        self.doubled: list[str] = []
        """Keys that made two jobs: there must be none."""

    def begin(self, queued: int, rate: float) -> None:
        """Submit so many jobs at once, and then so many a second until ``finish``."""
        for _ in range(queued):
            self._order()
        self._rate = rate
        self._thread.start()

    def finish(self) -> None:
        """Submit no more; return when every request has been answered. Raises what a request raised."""
        self._stop.set()
        self._thread.join()
        for sent in self._sent:
            sent.result()
        self._hands.shutdown()

    def _go_on(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._order()
            due += 1 / self._rate
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _order(self) -> None:
        """Draw a request and pass it on; all draws are made in one thread at a time, so that a seed is a sequence."""
        number, chance = next(self._numbers), self._random.random()
        body: dict[str, Any] = {
            "prompt": f"a lighthouse {number} {CUSTOMER_TEXT}",
            "width": 64,
            "height": 64,
            "steps": self._random.randint(1, 6),
            "priority": self._random.choice(["interactive", "bulk"]),
            "metadata": {"note": CUSTOMER_TEXT},
        }
        if self._random.random() < 0.1:
            body["deadline_s"] = self._random.randint(5, 90)
        if self._random.random() < 0.1:
            body["webhook_url"] = self._hook_url
        client = self._clients[number % len(self._clients)]
        is_doubled, is_canceled = chance < 0.1, chance > 0.95
        self._sent.append(
            self._hands.submit(self._see_through, client, f"soak-{number}", body, is_doubled, is_canceled)
        )

    def _see_through(self, client: Client, key: str, body: dict[str, Any], is_doubled: bool, is_canceled: bool) -> None:
        job_id = self._insist(client, "/v1/jobs", key, body)
        client.accepted.append(job_id)
        self._history.note("accepted", key=key, job=job_id)
        if is_doubled and (second := self._insist(client, "/v1/jobs", key, body)) != job_id:
            self.doubled.append(key)
            self._history.note("doubled", key=key, job=second)
        if is_canceled:
            self._insist(client, f"/v1/jobs/{job_id}/cancel", None, None)
            self._history.note("cancel", job=job_id)

    def _insist(self, client: Client, path: str, key: str | None, body: dict[str, Any] | None) -> str:
        """Send until it is answered; return the id of the job (of a cancellation that came too late: nothing)."""
        headers = {} if key is None else {"Idempotency-Key": key}
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                answer = client.http.post(path, json=body, headers=headers)
            except httpx2.HTTPError as error:
                self._history.note("unanswered", key=key, reason=type(error).__name__)
            else:
                if answer.status_code < REFUSED:
                    return str(answer.json()["id"])
                code = answer.json().get("code")
                self._history.note("refused", key=key, status=answer.status_code, code=code)
                if answer.status_code == 409 and key is None:
                    return ""
                assert answer.status_code in (409, 429, 503), answer.text
            assert time.monotonic() < deadline, f"{path} was not taken within {GIVE_UP_SECONDS} s"
            time.sleep(AGAIN_SECONDS)
