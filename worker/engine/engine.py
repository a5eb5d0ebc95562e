"""The engine: continuous batching behind the interface in ``worker.engine.interface``."""

import os
import time
from collections.abc import Callable, Mapping, Sequence

from common.errors import OutOfMemoryError, PressroomError
from common.jobs.request import ImageRequest
from common.logs import get_logger
from common.models import catalog
from common.models.catalog import ModelCard, OfferedModels
from common.models.text_encoders import TextEncoder
from common.settings import Settings
from common.states.jobs import Priority
from worker.engine import trial
from worker.engine.accelerator import Accelerator, Exit
from worker.engine.batch_limits import BatchLimits
from worker.engine.interface import NO_INPUTS, Inputs, Picture, StepObserver
from worker.engine.loop import EngineLoop
from worker.engine.model_cache import ModelCache, Opener
from worker.engine.tickets import Ticket
from worker.engine.watchdog import Watchdog
from worker.metering.meter import Meter

SHORTAGE_PAUSES_SECONDS = (5.0, 10.0, 20.0, 40.0)
"""Pauses before a model is tried again while other processes, such as the press before this one, hold the memory."""

log = get_logger(__name__)


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
        bytes_per_value: int = 4,
        leave: Exit = os._exit,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._offered = offered
        self._meter = meter
        self._accelerator = accelerator
        self._watchdog = Watchdog(settings.step_timeout_seconds)
        self._limits = BatchLimits([card for card, _ in offered.values()], settings.max_batch)
        self._models = ModelCache(offered, load, accelerator, meter, self._limits, budget_bytes, bytes_per_value)
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
    def text_encoders(self) -> Mapping[str, Sequence[TextEncoder]]:
        """Return the text encoders of each model that has been loaded."""
        return self._models.text_encoders

    @property
    def warm_lanes(self) -> frozenset[str]:
        """Return the current lanes whose batches are not full."""
        return frozenset(self._loop.lanes_with_room())

    @property
    def is_stuck(self) -> bool:
        """Return whether a pass has taken so long that the watchdog is about to end the process."""
        return self._watchdog.is_about_to_bite

    def load(self) -> dict[str, ModelCard]:
        """Load, profile and try every model, and return the cards as tried, by name."""
        names = [name for name, (card, _) in self._offered.items() if card.fault is None]
        return {name: self._try_model(name) for name in reversed(names)}  # the default last: it stays loaded

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

    def _try_model(self, name: str) -> ModelCard:
        card, directory = self._offered[name]
        try:
            card = self._load_and_try(name)
        except PressroomError as error:
            card = catalog.mark_faulty(card, directory, trial.describe_failure(name, error))
            log.error("model_unavailable", model=name, reason=card.fault)  # noqa: TRY400  (no traceback: expected)
        return card

    def _load_and_try(self, name: str) -> ModelCard:
        """Return the card of a model that works, which stays loaded; wait while other processes hold its memory."""
        pauses = iter(SHORTAGE_PAUSES_SECONDS)
        while True:
            try:
                card = self._loop.run(lambda: self._models.load(name, self._watchdog))
                return trial.try_model(card, self._generate_for_trial)
            except PressroomError as error:
                self._loop.run(lambda: self._models.evict(name))
                pause = next(pauses, None) if isinstance(error, OutOfMemoryError) else None
                if pause is None or not self._accelerator.is_crowded:
                    raise
                log.warning("accelerator_crowded", model=name, wait_seconds=pause)
                self._sleep(pause)

    def _generate_for_trial(self, request: ImageRequest, watch: StepObserver, inputs: Inputs) -> list[Picture]:
        return self._generate(Ticket(request, watch, inputs, Priority.INTERACTIVE, self._meter.account("warm_up")))

    def _generate(self, ticket: Ticket) -> list[Picture]:
        self._loop.submit(ticket)
        return ticket.wait()
