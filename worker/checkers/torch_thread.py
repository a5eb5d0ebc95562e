"""The one thread on which checkers run their networks, apart from the threads of the engine."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class TorchThread:
    """Runs what it is handed, one after the other, with gradients off and one core for torch."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        # A daemon, unlike the threads of a pool: a network that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[], T]) -> T:
        """Return what *call* returns, or raise what it raises."""
        answer: Future[T] = Future()
        self._calls.put((call, answer))
        return answer.result()

    def _work(self) -> None:
        _keep_to_one_core()
        with torch.no_grad():
            while True:
                call, answer = self._calls.get()
                try:
                    answer.set_result(call())
                except BaseException as error:  # noqa: BLE001  (raised again where somebody waits for it)
                    answer.set_exception(error)
                del call, answer


def _keep_to_one_core() -> None:
    # torch keeps the number for each thread, and a default for threads to come: that one is put back by another thread.
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    restorer = threading.Thread(target=torch.set_num_threads, args=(usual,))
    restorer.start()
    restorer.join()
