"""The engine's own loop as a server of random arrivals, on the emulated GPU.

Its parts are those of a press (loop, turns, tickets, caps, profile, meter); only the accelerator and the model are
emulated. Orders reach it as a press claims them: in the order in which they came, as soon as its batch has room.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common.errors import PressroomError
from common.jobs.request import ImageRequest
from common.models.catalog import Family, ModelCard
from common.states.jobs import Priority
from tests.bench.engine.emulated import Clock, EmulatedAccelerator, EmulatedFamily, RealClock, VirtualClock
from tests.bench.engine.queueing import LARGEST_BATCH, Order, Served
from worker.engine.batch_limits import BatchLimits
from worker.engine.interface import Inputs, NullObserver
from worker.engine.loop import EngineLoop
from worker.engine.model_cache import LoadedModel, ModelCache
from worker.engine.tickets import Ticket
from worker.engine.watchdog import Watchdog
from worker.metering.meter import Meter

CARD = ModelCard(
    name="emulated",
    title="Emulated",
    family=Family.SD15,
    batching=True,
    default_width=512,
    default_height=512,
    default_steps=30,
    default_guidance_scale=7.5,
    min_size=512,
    max_size=512,
    size_multiple=8,
)
HANG_SECONDS = 60.0


class HandedOver(Ticket):
    """A ticket that tells when it has ended."""

    on_end: Callable[[PressroomError | None], None]

    def end(self) -> None:
        """Wake its caller, and tell."""
        super().end()
        self.on_end(self.error)


class Server:
    """A press without its surroundings: a queue, and an engine that takes from it what it has room for."""

    def __init__(self, clock: Clock) -> None:
        self.accelerator = EmulatedAccelerator(clock)
        self.meter = Meter(clock.now)
        self.caps = BatchLimits([CARD], LARGEST_BATCH)
        offer: dict[str, tuple[ModelCard, Path | None]] = {CARD.name: (CARD, None)}
        residents = ModelCache(
            offer,
            lambda *_: LoadedModel(EmulatedFamily(self.accelerator)),
            self.accelerator,
            self.meter,
            self.caps,
            budget_bytes=1,
        )
        self._loop = EngineLoop(self.accelerator, residents, self.caps, Watchdog(HANG_SECONDS), leave=_fail)
        self._clock = clock
        self._queue: deque[Order] = deque()
        self._in_hand = 0
        self._error: PressroomError | None = None
        self._changed = threading.Condition()
        self.ended: dict[int, float] = {}
        self._began_at = 0.0
        self.seconds_with_work = 0.0

    def start(self) -> None:
        """Load and profile the model by printing one picture."""
        self.arrive(Order(-1, self._clock.now(), 1))
        self.wait_until_idle()

    def arrive(self, order: Order) -> None:
        """Take an order into the queue."""
        with self._changed:
            if self._in_hand == 0:
                self._began_at = self._clock.now()
            self._queue.append(order)
            self._claim()

    def wait_until_idle(self) -> None:
        """Return when nothing is left to do; raise the error of an order that could not be served."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_hand == 0)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the engine's thread."""
        self._loop.close()

    def _claim(self) -> None:
        while self._queue and self._in_hand < self.caps.most:
            self._in_hand += 1
            order = self._queue.popleft()
            ticket = HandedOver(_request(order), NullObserver(), Inputs(), Priority.BULK, self.meter.account())
            ticket.on_end = partial(self._end, order.number)
            self._loop.submit(ticket)

    def _end(self, number: int, error: PressroomError | None) -> None:
        with self._changed:
            self._error = self._error or error
            self.ended[number] = self._clock.now()
            self._in_hand -= 1
            self._claim()
            if self._in_hand == 0:
                self.seconds_with_work += self._clock.now() - self._began_at
                self._changed.notify_all()


def serve_continuously(orders: Sequence[Order]) -> Served:
    """Have the engine serve *orders* in virtual time."""
    clock = VirtualClock()
    server = Server(clock)
    server.start()
    start, busy = clock.now(), server.accelerator.busy
    for order in orders:
        clock.put_on(start + order.at, lambda order=order: server.arrive(order))  # type: ignore[misc]
    while clock.skip():
        server.wait_until_idle()
    server.close()
    return Served(orders, [server.ended[n] - start for n in range(len(orders))], server.accelerator.busy - busy)


def serve_in_real_time(orders: Sequence[Order]) -> tuple[Served, float]:
    """Have the engine serve *orders* by the clock outside; return also the seconds in which it had work."""
    clock = RealClock()
    server = Server(clock)
    server.start()
    start, busy, server.seconds_with_work = clock.now(), server.accelerator.busy, 0.0
    for order in orders:
        clock.sleep_until(start + order.at)
        server.arrive(order)
    server.wait_until_idle()
    server.close()
    ended = [server.ended[n] - start for n in range(len(orders))]
    return Served(orders, ended, server.accelerator.busy - busy), server.seconds_with_work


def _request(order: Order) -> ImageRequest:
    return ImageRequest(
        prompt="",
        model=CARD.name,
        width=CARD.default_width,
        height=CARD.default_height,
        steps=order.steps,
        guidance_scale=CARD.default_guidance_scale,
        seed=max(0, order.number),
    )


def _fail(status: Any) -> None:
    raise RuntimeError(f"the engine broke with status {status}")
