"""An emulated GPU: it takes as long as an A100 is known to take for each step, and draws nothing.

Cost of a step with B rows of Stable Diffusion 1.5 at 512 px, guided, on an A100 with torch.compile: measured at B of 1,
4 and 16 (49.74, 17.27 and 4.68 steps a second; diffusers' documentation, "PyTorch 2.0", table "A100"), straight lines
between. Encoding a prompt and decoding a picture are set at 10 and 40 ms, which is what a whole picture of 50 steps
(1.058 s on the same card; fal's stable-diffusion-benchmarks) takes besides its steps; a batch of them saves nothing.

The clock is either the real one or a virtual one that stands still while the host works, so that hours of arrivals are
played in seconds, and always the same.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from common.jobs.request import ImageRequest
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from worker.engine.accelerator import Exposure
from worker.engine.interface import Inputs

STEPS_PER_SECOND = {1: 49.74, 4: 17.27, 16: 4.68}
ENCODE_SECONDS = 0.010
DECODE_SECONDS = 0.040

PICTURE = Image.new("RGB", (512, 512))  # the size that its card offers


def step_seconds(rows: int) -> float:
    """Return how long a step with so many rows takes, 1 to 16."""
    known = sorted(STEPS_PER_SECOND)
    above = next(size for size in known if size >= rows)
    below = max(size for size in known if size <= rows)
    if above == below:
        return 1 / STEPS_PER_SECOND[rows]
    start, end = 1 / STEPS_PER_SECOND[below], 1 / STEPS_PER_SECOND[above]
    return start + (end - start) * (rows - below) / (above - below)


class Clock(Protocol):
    """Seconds, and a way to let them pass."""

    def now(self) -> float:
        """Return the time."""

    def sleep_until(self, moment: float) -> None:
        """Return when it is *moment*; other threads may run meanwhile."""


class RealClock:
    """The time outside."""

    def now(self) -> float:
        """Return the time."""
        return time.perf_counter()

    def sleep_until(self, moment: float) -> None:
        """Sleep."""
        time.sleep(max(0.0, moment - self.now()))


class VirtualClock:
    """A time that passes only when somebody sleeps; what was put on for a moment happens at that moment."""

    def __init__(self) -> None:
        self._now = 0.0
        self._due: deque[tuple[float, Callable[[], None]]] = deque()

    def now(self) -> float:
        """Return the time."""
        return self._now

    def put_on(self, moment: float, event: Callable[[], None]) -> None:
        """Have *event* happen at *moment*; events are put on in the order of their moments."""
        self._due.append((moment, event))

    def skip(self) -> bool:
        """Go to the next event and let it happen; return False if there is none.

        Only for when nobody sleeps: from the event on, time may be another thread's to pass.
        """
        if not self._due:
            return False
        moment, event = self._due.popleft()
        self._now = max(self._now, moment)
        event()
        return True

    def sleep_until(self, moment: float) -> None:
        """Let everything happen that is due until then."""
        while self._due and self._due[0][0] <= moment:
            at, event = self._due.popleft()
            self._now = max(self._now, at)
            event()
        self._now = max(self._now, moment)


@dataclass(frozen=True)
class EmulatedMark:
    """A point in the emulated device's work."""

    clock: Clock
    at: float

    def wait(self) -> None:
        """Sleep until the device has got there."""
        self.clock.sleep_until(self.at)

    def seconds_since(self, earlier: "EmulatedMark") -> float:
        """Return the device's own time between two marks."""
        return self.at - earlier.at


class EmulatedAccelerator:
    """A device that works off what it is told, one thing after the other, while the host goes on."""

    title = "emulated A100"
    ahead = 1

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.busy = 0.0
        self._free_at = 0.0

    def tell(self, seconds: float) -> None:
        """Add so much work to what it has to do."""
        self._free_at = max(self._free_at, self.clock.now()) + seconds
        self.busy += seconds

    def mark(self) -> EmulatedMark:
        """Mark the end of what it has to do."""
        return EmulatedMark(self.clock, max(self._free_at, self.clock.now()))

    def working(self) -> AbstractContextManager[object]:
        """Return a context without effect."""
        return nullcontext()

    def translating(self) -> AbstractContextManager[object]:
        """Return a context without effect: nothing goes wrong on it."""
        return nullcontext()

    def expose(self, decoded: Sequence[Image.Image]) -> list[Exposure]:
        """Return the pictures."""
        return [lambda picture=picture: picture for picture in decoded]  # type: ignore[misc]

    def free(self) -> None:
        """Do nothing: it has no memory."""


@dataclass(eq=False)
class EmulatedDrawing:
    """One picture in the making, of which nothing is known but how far it is."""

    seed: int
    total: int
    done: int = 0

    def close(self) -> None:
        """Give it up."""


class EmulatedFamily:
    """A model whose every pass takes as long as on the card that is emulated."""

    most_rows = None  # so that the engine profiles it

    def __init__(self, accelerator: EmulatedAccelerator) -> None:
        self._accelerator = accelerator

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[EmulatedDrawing]:
        """Encode the prompt."""
        self._accelerator.tell(ENCODE_SECONDS)
        return [EmulatedDrawing(seed, request.steps) for seed in seeds]

    def count_tokens(self, request: ImageRequest) -> PromptTokens | None:
        """Return None: nothing is encoded."""
        return None

    def list_encoders(self) -> list[TextEncoder]:
        """Return none: nothing is encoded."""
        return []

    def step(self, drawings: Sequence[EmulatedDrawing]) -> None:
        """Take one step with all."""
        self._accelerator.tell(step_seconds(len(drawings)))
        for drawing in drawings:
            drawing.done += 1

    def decode(self, drawings: Sequence[EmulatedDrawing]) -> list[Image.Image]:
        """Decode all."""
        self._accelerator.tell(DECODE_SECONDS * len(drawings))
        return [PICTURE for _ in drawings]
