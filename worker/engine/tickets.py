"""What the engine has in hand: tickets, one for each request, and rows, one for each picture of a ticket."""

import copy
import threading
from dataclasses import dataclass, field
from typing import Any

from common.errors import PressroomError
from common.jobs.request import ImageRequest
from common.tables.states import Priority
from worker.engine.accelerator import Exposure
from worker.engine.interface import Inputs, Picture, Watch
from worker.metering.meter import Account


@dataclass(eq=False)
class Row:
    """One picture in the making: a place in a batch."""

    ticket: "Ticket"
    seed: int
    drawing: Any = None  # a families.port.Drawing once its ticket has begun
    exposure: Exposure | None = None  # once it is decoded
    waited: int = 0  # passes since its last, or since it came
    seconds: float = 0.0  # accelerator seconds that are its own

    @property
    def lane(self) -> str:
        """Return what the rows of one batch must share."""
        return self.ticket.lane

    @property
    def is_denoised(self) -> bool:
        """Tell whether all its steps are done."""
        drawing = self.drawing  # once: the engine's thread may drop it meanwhile
        return drawing is not None and drawing.done >= drawing.total

    @property
    def progress(self) -> float:
        """Return how much of it is done, from 0 to 1."""
        if self.drawing is None:
            return 0.0
        return 1.0 if self.is_denoised else self.drawing.done / self.drawing.total


@dataclass(eq=False)
class Ticket:
    """One request in the engine's hands, from its arrival to its end.

    It has ended when it is over (all its pictures are there, or an error is) and the last pass that it was in has
    been booked: until then nobody is told, so what is told is all.
    """

    request: ImageRequest
    watch: Watch
    inputs: Inputs
    priority: Priority
    account: Account
    rows: list[Row] = field(default_factory=list)
    error: PressroomError | None = None
    open_passes: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.lane = self.request.lane
        self.rows = [Row(self, seed) for seed in self.request.seeds]

    @property
    def is_begun(self) -> bool:
        """Tell whether its prompt has been encoded."""
        return self.rows[0].drawing is not None

    @property
    def is_over(self) -> bool:
        """Tell whether no further pass is needed."""
        return self.error is not None or all(row.exposure is not None for row in self.rows)

    def tell(self) -> None:
        """Tell the watch how far it is; what the watch raises is the ticket's end."""
        share = sum(row.progress for row in self.rows) / len(self.rows)
        # Rounded first: 2/3 of 3 steps is 2, not 1.9999999999999998.
        number = int(round(share * self.request.steps, 6))
        try:
            self.watch.step(number, self.account.spent)
        except PressroomError as error:
            self.fail(error)

    def fail(self, error: PressroomError) -> None:
        """Give it up; the first error counts."""
        # A copy, without the frames that it passed: they hold tensors, and tickets may share the error.
        self.error = self.error or copy.copy(error)

    def end(self) -> None:
        """Let go of what is on the accelerator, and wake its caller."""
        for row in self.rows:
            if row.drawing is not None:
                row.drawing.close()
                row.drawing = None
        self._ended.set()

    def wait(self) -> list[Picture]:
        """Return its pictures once it has ended, or raise its error; only once."""
        self._ended.wait()
        # Rows and their ticket refer to each other, and a raised error to frames that know the ticket. Cut apart, all
        # of it goes at once, not when the garbage is collected.
        rows, self.rows = self.rows, []
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
            return [Picture(row.exposure(), row.seed, row.seconds) for row in rows if row.exposure is not None]
        finally:
            del error
