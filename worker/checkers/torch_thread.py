"""Dedicated thread on which checkers run their networks, separate from the engine's threads."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class TorchThread:
    """Run submitted calls one at a time, with gradients off and one core for torch."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        # A daemon thread, unlike pool threads: a network that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[], T]) -> T:
        """Run *call* on the thread; return its result or raise its exception."""
        answer: Future[T] = Future()
        self._calls.put((call, answer))
        return answer.result()

    def _work(self) -> None:
        _limit_to_one_core()
        with torch.no_grad():
            while True:
                call, answer = self._calls.get()
                try:
                    answer.set_result(call())
                except BaseException as error:  # noqa: BLE001  (raised again in the waiting thread)
                    answer.set_exception(error)
                del call, answer


def _limit_to_one_core() -> None:
    # torch keeps a number per thread and a default for new threads; another thread restores that default.
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    restorer = threading.Thread(target=torch.set_num_threads, args=(usual,))
    restorer.start()
    restorer.join()
