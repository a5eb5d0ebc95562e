"""The engine's units of work: one ticket per request, and one row per image of a ticket."""

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from common.errors import PressroomError, WrongSizeError
from common.jobs.request import ImageRequest
from common.models.prompt_tokens import PromptTokens
from common.states.jobs import Priority
from worker.engine.accelerator import Exposure
from worker.engine.interface import Inputs, Picture, StepObserver
from worker.metering.meter import Account


@dataclass(eq=False)
class Row:
    """One image in progress: a place in a batch."""

    ticket: "Ticket"
    seed: int
    drawing: Any = None  # a families.interface.Drawing once its ticket has begun
    exposure: Exposure | None = None  # once it is decoded
    waited: int = 0  # passes since its last one, or since its arrival
    seconds: float = 0.0  # its own accelerator seconds

    @property
    def lane(self) -> str:
        """Return the properties that the rows of a batch must share."""
        return self.ticket.lane

    @property
    def is_denoised(self) -> bool:
        """Return whether all steps are done."""
        drawing = self.drawing  # read once: the engine's thread may drop it meanwhile
        return drawing is not None and drawing.done >= drawing.total

    @property
    def progress(self) -> float:
        """Return the progress from 0 to 1."""
        if self.drawing is None:
            return 0.0
        return 1.0 if self.is_denoised else self.drawing.done / self.drawing.total


@dataclass(eq=False)
class Ticket:
    """One request in the engine, from its arrival to its end.

    It ends when it is over (all its images exist, or an error occurred) and its last pass has been booked. The caller
    is woken only then, so the reported cost is complete.
    """

    request: ImageRequest
    watch: StepObserver
    inputs: Inputs
    priority: Priority
    account: Account
    rows: list[Row] = field(default_factory=list)
    tokens: PromptTokens | None = None  # known once it has begun
    error: PressroomError | None = None
    open_passes: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.lane = self.request.lane
        self.rows = [Row(self, seed) for seed in self.request.seeds]

    @property
    def is_begun(self) -> bool:
        """Return whether the prompt has been encoded."""
        return self.rows[0].drawing is not None

    @property
    def is_over(self) -> bool:
        """Return whether no further pass is needed."""
        return self.error is not None or all(row.exposure is not None for row in self.rows)

    def report_progress(self) -> None:
        """Report progress to the watch; an exception from the watch ends the ticket."""
        share = sum(row.progress for row in self.rows) / len(self.rows)
        # Rounded first: 2/3 of 3 steps is 2, not 1.9999999999999998.
        number = int(round(share * self.request.steps, 6))
        try:
            self.watch.step(number, self.account.spent)
        except PressroomError as error:
            self.fail(error)

    def fail(self, error: PressroomError) -> None:
        """Fail the ticket; only the first error counts."""
        # A copy without the traceback: its frames hold tensors, and tickets may share the error.
        self.error = self.error or copy.copy(error)

    def end(self) -> None:
        """Release the accelerator's memory and wake the caller."""
        for row in self.rows:
            if row.drawing is not None:
                row.drawing.close()
                row.drawing = None
        self._ended.set()

    def wait(self) -> list[Picture]:
        """Wait for the end and return the images or raise the error; call only once."""
        self._ended.wait()
        # Rows and their ticket refer to each other, and a raised error to frames that hold the ticket. Breaking these
        # cycles frees everything at once, without waiting for the garbage collector.
        rows, self.rows = self.rows, []
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
            return [
                Picture(self._check_size(row.exposure()), row.seed, row.seconds, self.tokens)
                for row in rows
                if row.exposure is not None
            ]
        finally:
            del error

    def _check_size(self, pixels: Image.Image) -> Image.Image:
        """Return *pixels* if they have the size of the request, since some pipelines choose a size of their own."""
        wanted, size = (self.request.width, self.request.height), pixels.size
        if size != wanted:
            raise WrongSizeError(
                f"The model delivered an image of {size[0]} × {size[1]} pixels instead of {wanted[0]} × {wanted[1]}."
            )
        return pixels
