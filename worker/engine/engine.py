"""The engine: continuous batching behind the interface in ``worker.engine.interface``."""

import os

from common.jobs.request import ImageRequest
from common.models.catalog import OfferedModels
from common.settings import Settings
from common.states.jobs import Priority
from worker.engine.accelerator import Accelerator, Exit
from worker.engine.batch_limits import BatchLimits
from worker.engine.interface import NO_INPUTS, Inputs, NullObserver, Picture, StepObserver
from worker.engine.loop import EngineLoop
from worker.engine.model_cache import ModelCache, Opener
from worker.engine.tickets import Ticket
from worker.engine.watchdog import Watchdog
from worker.metering.meter import Meter

WARM_UP_STEPS = 2


class BatchingEngine:
    """Step the images of many requests together; each has its own random generator, so batching does not change it."""

    def __init__(
        self,
        settings: Settings,
        offered: OfferedModels,
        meter: Meter,
        *,
        accelerator: Accelerator,
        load: Opener,
        budget_bytes: float,
        leave: Exit = os._exit,
    ) -> None:
        self._offered = offered
        self._meter = meter
        self._accelerator = accelerator
        self._watchdog = Watchdog(settings.step_timeout_seconds)
        self._limits = BatchLimits([card for card, _ in offered.values()], settings.max_batch)
        self._models = ModelCache(offered, load, accelerator, meter, self._limits, budget_bytes)
        self._loop = EngineLoop(accelerator, self._models, self._limits, self._watchdog, leave)

    @property
    def accelerator(self) -> str:
        """Return the accelerator's name."""
        return self._accelerator.title

    @property
    def capacity(self) -> int:
        """Return the maximum number of images stepped together."""
        return self._limits.most

    @property
    def rates(self) -> dict[str, dict[int, float]]:
        """Return the rows per second of each profiled model by batch size."""
        return self._limits.rates

    @property
    def warm_lanes(self) -> frozenset[str]:
        """Return the current lanes whose batches are not full."""
        return frozenset(self._loop.lanes_with_room())

    @property
    def is_stuck(self) -> bool:
        """Return whether a pass has taken so long that the watchdog is about to end the process."""
        return self._watchdog.is_about_to_bite

    def load(self) -> None:
        """Load and profile the default model and generate one small image; other models load at first use."""
        card, _ = next(iter(self._offered.values()))
        request = ImageRequest(
            prompt="",
            model=card.name,
            width=card.min_size,
            height=card.min_size,
            steps=WARM_UP_STEPS,
            guidance_scale=card.default_guidance_scale,
            seed=0,
        )
        self._generate(Ticket(request, NullObserver(), NO_INPUTS, Priority.INTERACTIVE, self._meter.account("warm_up")))

    def weigh(self, request: ImageRequest) -> float:
        """Return the share of a full batch that a request takes; all of it for a model not yet profiled."""
        if not self._limits.knows(request.model):
            return 1.0
        return request.num_images / self._limits.of(request)

    def generate(
        self,
        request: ImageRequest,
        watch: StepObserver,
        inputs: Inputs = NO_INPUTS,
        priority: Priority = Priority.INTERACTIVE,
    ) -> list[Picture]:
        """Generate one image per seed; raise GenerationError, or what *watch* raises at the end of a step."""
        return self._generate(Ticket(request, watch, inputs, priority, self._meter.account()))

    def close(self) -> None:
        """Stop the engine; current requests end with an error."""
        self._loop.close()

    def _generate(self, ticket: Ticket) -> list[Picture]:
        self._loop.submit(ticket)
        return ticket.wait()
