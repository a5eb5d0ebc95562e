"""Batch limit of each lane: the largest batch that still raises throughput, found by measurement."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from common.errors import GenerationError, OutOfMemoryError
from common.jobs.request import ImageRequest
from common.logs import get_logger
from common.models.catalog import ModelCard
from worker.engine.accelerator import Accelerator
from worker.engine.interface import NO_INPUTS
from worker.engine.memory_limits import DecodingEconomy, RowLimits
from worker.engine.passes import DECODE, DENOISE
from worker.engine.watchdog import Watchdog

MINIMUM_SPEEDUP = 1.05
"""Minimum gain in rows per second for a batch twice as large."""

LONGEST_PASS_SECONDS = 2.0
"""Maximum duration of a pass in seconds: joining and stopping wait for the current pass."""

PASSES = 3
"""Runs per size; the first pays for set-up, and the best of the others counts, since timing is noisy."""

log = get_logger(__name__)


class BatchLimits:
    """The largest useful batch of each lane, from one profile per model, as far as it fits in memory."""

    def __init__(self, cards: Sequence[ModelCard], most: int) -> None:
        self._cards = cards
        self._most = most
        self._given: dict[str, int] = {}  # model → the batch limit set by its family
        self._work: dict[str, float] = {}  # model → useful pixels per pass, doubled by guidance
        self._rates: dict[str, dict[int, float]] = {}  # model → rows per second by batch size, up to the useful one
        self._economies: dict[str, int] = {}  # model → the ways in which its decoder can save memory
        self._fitting = {DENOISE: RowLimits(), DECODE: RowLimits()}
        self._economy = DecodingEconomy()

    @property
    def most(self) -> int:
        """Return the largest batch of any lane."""
        return self._most if any(card.batching for card in self._cards) else 1

    def of(self, request: ImageRequest) -> int:
        """Return the largest batch of a request's lane."""
        useful = self._given.get(request.model, self._most)
        if request.model in self._work:
            useful = int(self._work[request.model] / _compute_work(request))
        return self._fitting[DENOISE].limit(request.lane, max(1, min(self._most, useful)))

    def of_decoding(self, request: ImageRequest, rows: int) -> int:
        """Return how many of *rows* are decoded at once."""
        return self._fitting[DECODE].limit(request.lane, rows)

    def find_economy(self, request: ImageRequest) -> int:
        """Return how much memory the decoder has to save: see ``DecodingEconomy``."""
        return self._economy.find_level(request.lane)

    def economize(self, request: ImageRequest) -> bool:
        """Let the decoder save more memory from now on; return whether it can."""
        return self._economy.tighten(request.lane, self._economies.get(request.model, 0))

    @property
    def rates(self) -> dict[str, dict[int, float]]:
        """Return rows per second of each profiled model by batch size, up to the useful one, at its default size."""
        return dict(self._rates)

    def knows(self, model: str) -> bool:
        """Return whether a model has been profiled."""
        return model in self._given or model in self._work

    def lower(self, request: ImageRequest, rows: int, phase: str = DENOISE) -> None:
        """Limit the lane to *rows* in *phase*, the number that fits in memory."""
        self._fitting[phase].lower(request.lane, rows)

    def note_success(self, request: ImageRequest, phase: str) -> None:
        """Note a pass that fitted in memory; after a while of them the lane's limits are relaxed."""
        if phase in self._fitting:
            self._fitting[phase].note_success(request.lane, self._most)
        if phase == DECODE:
            self._economy.note_success(request.lane)

    def profile(self, family: Any, card: ModelCard, accelerator: Accelerator, watchdog: Watchdog) -> bool:
        """Measure a model's step time by batch size at its default size, and keep the smallest good batch.

        Returns whether a single row fits in memory.
        """
        self._economies[card.name] = getattr(family, "economies", 0)
        if family.most_rows is not None:
            self._given[card.name] = family.most_rows
            return True
        if self._most == 1:
            self._given[card.name] = 1
            return True
        request = _build_typical_request(card)
        rates: dict[int, float] = {}
        is_too_large = False
        rows = 1
        while rows <= self._most:
            watchdog.feed()  # each size may be compiled separately
            try:
                seconds = _measure_step(family, request, rows, accelerator)
            except GenerationError as error:  # out of memory, or any other error at this batch size
                accelerator.free()
                is_too_large = isinstance(error, OutOfMemoryError) and not rates
                break
            rates[rows] = rows / seconds
            if 2 * seconds > LONGEST_PASS_SECONDS:
                break
            rows *= 2
        useful = _find_useful_batch(rates)
        self._work[card.name] = useful * _compute_work(request)
        self._rates[card.name] = {rows: rate for rows, rate in rates.items() if rows <= useful}
        log.info(
            "model_profiled", model=card.name, cap=useful, rows_per_second={n: round(r, 2) for n, r in rates.items()}
        )
        return not is_too_large


def _find_useful_batch(rates: dict[int, float]) -> int:
    """Return the batch after which doubling no longer pays; a single slow measurement does not decide."""
    best = 1
    for rows in sorted(rates)[1:]:
        doublings = (rows // best).bit_length() - 1
        if rates[rows] >= rates[best] * MINIMUM_SPEEDUP**doublings:
            best = rows
    return best


def _measure_step(family: Any, request: ImageRequest, rows: int, accelerator: Accelerator) -> float:
    with accelerator.translating():
        drawings = family.begin(request, range(rows), NO_INPUTS)
        marks = [accelerator.mark()]
        for _ in range(PASSES):
            family.step(drawings)
            marks.append(accelerator.mark())
        marks[-1].wait()
        return min(later.seconds_since(earlier) for earlier, later in pairwise(marks))


def _build_typical_request(card: ModelCard) -> ImageRequest:
    return ImageRequest(
        prompt="",
        model=card.name,
        width=card.default_width,
        height=card.default_height,
        steps=max(PASSES, card.default_steps),
        guidance_scale=card.default_guidance_scale,
        seed=0,
    )


def _compute_work(request: ImageRequest) -> float:
    return request.width * request.height * (2 if request.is_guided else 1)
