"""The engine: continuous batching behind the port of ``worker.engine.interface``."""

import os

from common.jobs.request import ImageRequest
from common.models.catalog import Offer
from common.settings import Settings
from common.tables.states import Priority
from worker.engine.accelerator import Accelerator, Exit
from worker.engine.batch_limits import Caps
from worker.engine.interface import NO_INPUTS, Inputs, Picture, Unwatched, Watch
from worker.engine.loop import Loop
from worker.engine.model_cache import Opener, Residents
from worker.engine.tickets import Ticket
from worker.engine.watchdog import Watchdog
from worker.metering.meter import Meter

WARM_UP_STEPS = 2


class BatchingEngine:
    """Steps the pictures of many requests together; each has its own dice, so its company does not change it."""

    def __init__(
        self,
        settings: Settings,
        offer: Offer,
        meter: Meter,
        *,
        accelerator: Accelerator,
        load: Opener,
        budget_bytes: float,
        leave: Exit = os._exit,
    ) -> None:
        self._offer = offer
        self._meter = meter
        self._accelerator = accelerator
        self._watchdog = Watchdog(settings.step_timeout_seconds)
        self._caps = Caps([card for card, _ in offer.values()], settings.max_batch)
        self._residents = Residents(offer, load, accelerator, meter, self._caps, budget_bytes)
        self._loop = Loop(accelerator, self._residents, self._caps, self._watchdog, leave)

    @property
    def accelerator(self) -> str:
        """Return what the accelerator is called."""
        return self._accelerator.title

    @property
    def capacity(self) -> int:
        """Return how many pictures it may step together at most."""
        return self._caps.most

    @property
    def rates(self) -> dict[str, dict[int, float]]:
        """Return the rows per second of each model that was profiled, by its batch."""
        return self._caps.rates

    @property
    def warm_lanes(self) -> frozenset[str]:
        """Return the lanes in hand whose batches are not full."""
        return frozenset(self._loop.lanes_with_room())

    @property
    def is_stuck(self) -> bool:
        """Tell whether a pass has taken so long that the watchdog is about to end the process."""
        return self._watchdog.is_about_to_bite

    def load(self) -> None:
        """Load the default model, profile it and print one small picture; the others are loaded at their first use."""
        card, _ = next(iter(self._offer.values()))
        request = ImageRequest(
            prompt="",
            model=card.name,
            width=card.min_size,
            height=card.min_size,
            steps=WARM_UP_STEPS,
            guidance_scale=card.default_guidance_scale,
            seed=0,
        )
        self._generate(Ticket(request, Unwatched(), NO_INPUTS, Priority.INTERACTIVE, self._meter.account("warm_up")))

    def weigh(self, request: ImageRequest) -> float:
        """Return what share of a full batch a request takes; all of it for a model of which nothing is known yet."""
        if not self._caps.knows(request.model):
            return 1.0
        return request.num_images / self._caps.of(request)

    def generate(
        self,
        request: ImageRequest,
        watch: Watch,
        inputs: Inputs = NO_INPUTS,
        priority: Priority = Priority.INTERACTIVE,
    ) -> list[Picture]:
        """Print one picture for each seed; raise GenerationError, or what *watch* raises at the end of a step."""
        return self._generate(Ticket(request, watch, inputs, priority, self._meter.account()))

    def close(self) -> None:
        """Stop printing; requests in hand end with an error."""
        self._loop.close()

    def _generate(self, ticket: Ticket) -> list[Picture]:
        self._loop.take(ticket)
        return ticket.wait()
