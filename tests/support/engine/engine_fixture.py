"""An engine without a device: a clock that moves only with work, and models whose every fault is planned."""

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from PIL import Image

from common.errors import GenerationError, OutOfMemoryError, PressroomError
from common.jobs.request import ImageRequest
from common.models.catalog import Family, ModelCard
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from common.states.jobs import Priority
from tests.support.factories import image_request
from worker.engine.accelerator import Exposure
from worker.engine.batch_limits import BatchLimits
from worker.engine.interface import NO_INPUTS, Inputs, Picture, StepObserver
from worker.engine.loop import EngineLoop
from worker.engine.model_cache import LoadedModel, ModelCache
from worker.engine.tickets import Ticket
from worker.engine.watchdog import Watchdog
from worker.metering.meter import Meter

MODEL = "fake"
ENCODE_SECONDS, STEP_SECONDS, DECODE_SECONDS = 4.0, 1.0, 2.0
PATIENCE_SECONDS = 20
"""After which a test that waits for the engine's thread fails."""


def card(name: str = MODEL, **changes: Any) -> ModelCard:
    """Return the card of a small model whose pictures are stepped together."""
    values = {
        "title": name, "family": Family.SD15, "batching": True, "default_width": 64, "default_height": 64,
        "default_steps": 4, "default_guidance_scale": 5.0, "min_size": 32, "max_size": 512, "size_multiple": 8,
    }  # fmt: skip
    return ModelCard(name=name, **(values | changes))


class Recorder:
    """An observer that records its calls, and stops its attempt at a given step."""

    def __init__(self, stop_at: int | None = None, error: PressroomError | None = None) -> None:
        self.heard: list[tuple[int, Any]] = []
        self.stop_at = stop_at
        self.error = error

    def step(self, number: int, spent: Any) -> None:
        self.heard.append((number, spent))
        if self.error is not None and (self.stop_at is None or number >= self.stop_at):
            raise copy.copy(self.error)  # raised itself, it would hold the frames that it passed

    @property
    def spent(self) -> Any:
        """Return the last that it heard."""
        return self.heard[-1][1]


class FakeTicket(Ticket):
    """A ticket of the fake model."""

    def __init__(
        self, meter: Meter, watch: StepObserver | None = None, priority: Priority = Priority.INTERACTIVE, **request: Any
    ) -> None:
        made = image_request(**({"model": MODEL} | request))
        super().__init__(made, watch or Recorder(), NO_INPUTS, priority, meter.account())

    def wait(self) -> list[Picture]:
        """Wait as anybody would, but not for ever."""
        assert self._ended.wait(PATIENCE_SECONDS), "the engine forgot a ticket"
        return super().wait()


class Device:
    """An accelerator that executes its work in order, on a clock of its own."""

    title = "device"
    is_crowded = False

    def __init__(self, ahead: int = 0) -> None:
        self.ahead = ahead
        self.told = 0.0
        self.reached = 0.0  # how far anybody has waited
        self.frees = 0

    def now(self) -> float:
        return self.told

    def tell(self, seconds: float) -> None:
        """Give it so much more to do."""
        self.told += seconds

    def mark(self) -> "Mark":
        return Mark(self, self.told)

    def working(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def translating(self) -> Iterator[None]:
        try:
            yield
        except PressroomError:
            raise
        except MemoryError:
            raise OutOfMemoryError from None
        except Exception as error:  # noqa: BLE001  (as the real one)
            raise GenerationError(type(error).__name__) from None

    def expose(self, decoded: Sequence[Exposure]) -> list[Exposure]:
        return list(decoded)

    def free(self) -> None:
        self.frees += 1


@dataclass(frozen=True)
class Mark:
    """A point in the device's work."""

    device: Device
    at: float

    def wait(self) -> None:
        self.device.reached = max(self.device.reached, self.at)

    def seconds_since(self, earlier: "Mark") -> float:
        assert self.device.reached >= self.at, "nobody waited for it"
        return self.at - earlier.at


@dataclass(eq=False)
class FakeDrawing:
    """A drawing that only counts its steps."""

    seed: int
    total: int
    size: tuple[int, int] = (64, 64)
    done: int = 0
    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


@dataclass(eq=False)
class FakeFamily:
    """A model that takes a fixed time, keeps a journal, and fails as scripted."""

    device: Device
    most_rows: int | None = 16
    fits: int = 100  # rows in its memory
    seconds: Callable[[int], float] = lambda rows: STEP_SECONDS
    faults: dict[tuple[str, int], Exception] = field(default_factory=dict)  # (phase, seed) → what it raises
    journal: list[tuple[str, list[int]]] = field(default_factory=list)
    before: Callable[[str, list[int]], object] = lambda phase, seeds: None
    drawings: list[FakeDrawing] = field(default_factory=list)
    decodes: Callable[[int], int] = lambda level: 100  # rows that its decoder has memory for, by how much it saves
    economies: int = 0
    delivers: tuple[int, int] | None = None  # whatever it is asked for
    level: int = 0

    def economize(self, level: int) -> None:
        self.level = level

    def count_tokens(self, request: ImageRequest) -> PromptTokens | None:
        return None

    def list_encoders(self) -> list[TextEncoder]:
        return []

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[FakeDrawing]:
        self._enter("encode", list(seeds), ENCODE_SECONDS)
        begun = [FakeDrawing(seed, request.steps, (request.width, request.height)) for seed in seeds]
        self.drawings += begun
        return begun

    def step(self, drawings: Sequence[FakeDrawing]) -> None:
        self._enter("denoise", [drawing.seed for drawing in drawings], self.seconds(len(drawings)))
        for drawing in drawings:
            assert drawing.done < drawing.total, "stepped too far"
            assert not drawing.is_closed, "stepped after it was given up"
            drawing.done += 1

    def decode(self, drawings: Sequence[FakeDrawing]) -> list[Exposure]:
        self._enter("decode", [drawing.seed for drawing in drawings], DECODE_SECONDS)
        assert all(drawing.done == drawing.total for drawing in drawings), "decoded too early"
        return [partial(Image.new, "RGB", self.delivers or drawing.size) for drawing in drawings]

    def steps(self, seed: int) -> list[int]:
        """Return the numbers of the denoising passes, from 0, that a seed was in."""
        passes = [seeds for phase, seeds in self.journal if phase == "denoise"]
        return [number for number, seeds in enumerate(passes) if seed in seeds]

    def _enter(self, phase: str, seeds: list[int], seconds: float) -> None:
        self.before(phase, seeds)
        self.device.tell(seconds)
        for seed in seeds:
            if (phase, seed) in self.faults:
                raise copy.copy(self.faults[phase, seed])
        if phase != "encode" and len(seeds) > self.fits:
            raise MemoryError
        if phase == "decode" and len(seeds) > self.decodes(self.level):
            raise MemoryError
        self.journal.append((phase, seeds))


class EngineFixture:
    """The engine's loop around fake models, all of which share a device and its clock."""

    def __init__(
        self,
        *names: str,
        ahead: int = 0,
        most: int = 16,
        directories: dict[str, Path] | None = None,
        budget_bytes: float = 1,
        load: Callable[[ModelCard, Path | None], LoadedModel] | None = None,
        **family: Any,
    ) -> None:
        self.device = Device(ahead)
        self.meter = Meter(self.device.now)
        self.left: list[int] = []
        cards = [card(name) for name in names or (MODEL,)]
        self.families = {each.name: FakeFamily(self.device, **family) for each in cards}
        offer = {each.name: (each, (directories or {}).get(each.name)) for each in cards}
        self.caps = BatchLimits(cards, most)
        self.residents = ModelCache(offer, load or self.load, self.device, self.meter, self.caps, budget_bytes)
        self.loop = EngineLoop(self.device, self.residents, self.caps, Watchdog(PATIENCE_SECONDS * 3), self.left.append)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.loop.close()
        assert self.loop._thread.ident is None or not self.loop._thread.is_alive()

    @property
    def family(self) -> FakeFamily:
        return self.families[MODEL]

    def load(self, of: ModelCard, directory: Path | None) -> LoadedModel:
        self.device.tell(8.0)
        return LoadedModel(self.families[of.name])

    def create_ticket(self, **options: Any) -> FakeTicket:
        return FakeTicket(self.meter, **options)

    def take(self, *tickets: FakeTicket) -> None:
        """Submit tickets at one moment."""
        with self.loop._changed:
            for ticket in tickets:
                self.loop.submit(ticket)

    def print(self, *tickets: FakeTicket) -> list[list[Picture]]:
        """Submit tickets at one moment, and wait for all."""
        self.take(*tickets)
        return [ticket.wait() for ticket in tickets]

    def at_pass(self, number: int, act: Callable[[], object], phase: str = "denoise") -> None:
        """Have the engine's thread do something just before its pass of a number, counted from 0."""
        counted = iter(range(1_000_000))

        def before(now: str, _seeds: list[int]) -> None:
            if now == phase and next(counted) == number:
                act()

        self.family.before = before

    def assert_books_balance(self, *tickets: FakeTicket) -> None:
        """Fail unless attempts + overheads = busy."""
        snapshot = self.meter.snapshot()
        booked = sum(ticket.account.spent.gpu_seconds for ticket in tickets) + sum(snapshot["overhead"].values())
        assert abs(booked - snapshot["busy_seconds"]) < 1e-9, (booked, snapshot)
        assert abs(snapshot["busy_seconds"] - self.device.told) < 1e-9, (snapshot, self.device.told)


class Background:
    """A thread whose outcome is asked for later."""

    def __init__(self, act: Callable[[], Any], patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(act,), daemon=True)
        self._thread.start()

    def _run(self, act: Callable[[], Any]) -> None:
        try:
            self._outcome = act()
        except BaseException as error:  # noqa: BLE001  (it is raised again where it is asked for)
            self._error = error

    def result(self) -> Any:
        self._thread.join(self._patience)
        assert not self._thread.is_alive(), "it never came back"
        if self._error is not None:
            raise self._error
        return self._outcome
