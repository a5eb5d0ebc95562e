"""One request on the accelerator: its time is booked, its watch hears every step, the watchdog is fed."""

from contextlib import suppress
from types import TracebackType
from typing import Self

from common.errors import PressroomError
from common.requests import ImageRequest
from worker.engine.port import Watch
from worker.engine.watchdog import Watchdog
from worker.meter import Account

ENCODE, DENOISE, DECODE = "encode", "denoise", "decode"


class Run:
    """The way of one request through an engine that prints its pictures one after the other.

    Leaving it books what was spent last and tells the watch, whatever happened; so nothing spent is forgotten.
    """

    def __init__(self, request: ImageRequest, watch: Watch, account: Account, watchdog: Watchdog) -> None:
        self._request = request
        self._watch = watch
        self._account = account
        self._watchdog = watchdog
        self._printed = 0
        self._seconds_of_printed = 0.0
        self._number = 0
        self._phase = ENCODE

    def __enter__(self) -> Self:
        self._watchdog.feed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watchdog.rest()
        if error is not None:
            self._account.lap(self._phase)
            with suppress(PressroomError):  # the watch is only told what was spent; the attempt is over already
                self._watch.step(self._number, self._account.spent())

    def end_encoding(self) -> None:
        """Book the time so far to the encoding of the prompt."""
        self._account.lap(ENCODE)
        self._phase = DENOISE

    def end_step(self, done: int, total: int) -> None:
        """Book a denoising step, the *done*-th of *total* of this picture; raise what the watch raises."""
        self._account.lap(DENOISE)
        self._phase = DECODE if done >= total else DENOISE
        self._tell(self._printed + min(done / total, 1.0))
        self._watchdog.feed()

    def end_picture(self) -> float:
        """Book the decoding of a picture and return the accelerator seconds that are this picture's own."""
        self._account.lap(DECODE if self._phase == DECODE else DENOISE)
        self._phase = ENCODE
        self._printed += 1
        seconds = self._account.gpu_seconds - self._seconds_of_printed
        self._seconds_of_printed = self._account.gpu_seconds
        self._tell(self._printed)
        return seconds

    def _tell(self, pictures: float) -> None:
        # Rounded first: 2/3 of 3 steps is 2, not 1.9999999999999998.
        self._number = int(round(pictures / self._request.num_images * self._request.steps, 6))
        self._watch.step(self._number, self._account.spent())
