"""The engine's loop: one thread owns the accelerator, and each step is shared by as many rows as possible.

Each round chooses a batch of one lane, begins its new rows, takes one step with all of them, and decodes the rows that
are finished. Rows join and leave between rounds, never within one. See the diagram in docs/engine.md.
"""

import copy
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from common.errors import DrainingError, OutOfMemoryError, PressroomError
from common.jobs.request import ImageRequest
from common.logs import get_logger
from worker.engine import batch_selection
from worker.engine.accelerator import Accelerator, Exit
from worker.engine.batch_limits import BatchLimits
from worker.engine.model_cache import ModelCache
from worker.engine.passes import DECODE, DENOISE, ENCODE, PassQueue, collect_tickets
from worker.engine.tickets import Row, Ticket
from worker.engine.watchdog import Watchdog

EXIT_LOOP_BROKE = 70
"""Exit status of a press whose engine crashed (``EX_SOFTWARE`` in sysexits.h)."""

T = TypeVar("T")

log = get_logger(__name__)


class EngineLoop:
    """The current tickets and the thread that works on them."""

    def __init__(
        self,
        accelerator: Accelerator,
        residents: ModelCache,
        caps: BatchLimits,
        watchdog: Watchdog,
        leave: Exit,
    ) -> None:
        self._accelerator = accelerator
        self._models = residents
        self._limits = caps
        self._watchdog = watchdog
        self._leave = leave
        self._passes = PassQueue(accelerator)
        self._tickets: list[Ticket] = []
        self._errands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def submit(self, ticket: Ticket) -> None:
        """Accept a ticket; its end carries the result. The first ticket starts the thread."""
        with self._changed:
            self._start()
            self._tickets.append(ticket)
            self._changed.notify()

    def run(self, errand: Callable[[], T]) -> T:
        """Run *errand* in the engine's thread between two rounds; return or raise what it does, errors translated."""
        outcome: Future[T] = Future()
        with self._changed:
            self._start()
            self._errands.append((errand, outcome))
            self._changed.notify()
        return outcome.result()

    def close(self) -> None:
        """End all current tickets with an error, and stop the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def lanes_with_room(self) -> list[str]:
        """Return the current lanes that have room for more rows."""
        rows = [row for ticket in self._list_tickets() for row in ticket.rows if not row.is_denoised]
        counts = Counter(row.lane for row in rows)
        return [row.lane for row in rows if counts[row.lane] < self._cap_of(row)]

    def _start(self) -> None:
        if self._is_closing:
            raise DrainingError
        if self._thread.ident is None:
            self._thread.start()

    def _list_tickets(self) -> list[Ticket]:
        with self._changed:
            return list(self._tickets)

    def _run(self) -> None:
        try:
            with self._accelerator.working():
                while self._await_work():
                    self._watchdog.feed()
                    self._run_errands()
                    self._run_round()
                self._fail_remaining_tickets()
        except BaseException:  # thread boundary: without it the press would stay alive but generate nothing
            log.exception("engine_crashed")
            self._leave(EXIT_LOOP_BROKE)
        self._end_all()

    def _fail_remaining_tickets(self) -> None:
        """Fail the remaining tickets and report their total cost to their watches."""
        self._passes.book()
        for ticket in self._list_tickets():
            ticket.fail(DrainingError())
            ticket.report_progress()

    def _end_all(self) -> None:
        self._watchdog.rest()
        with self._changed:
            self._is_closing = True  # if the loop crashed, this has not been reported yet
            tickets, self._tickets = self._tickets, []
            errands, self._errands = self._errands, deque()
        for _, outcome in errands:
            outcome.set_exception(DrainingError())
        for ticket in tickets:
            ticket.fail(DrainingError())
            ticket.end()

    def _await_work(self) -> bool:
        """Wait for a ticket or an errand; return False when the loop must end."""
        with self._changed:
            if not self._tickets:
                self._watchdog.rest()
            while not self._tickets and not self._errands and not self._is_closing:
                self._changed.wait()
            return not self._is_closing

    def _run_errands(self) -> None:
        while self._errands:
            errand, outcome = self._errands.popleft()
            self._passes.book()  # overhead must not overlap a pass
            try:
                with self._accelerator.translating():
                    outcome.set_result(errand())
            except PressroomError as error:
                outcome.set_exception(copy.copy(error))  # without the traceback, whose frames hold tensors

    def _run_round(self) -> None:
        """Run one pass, book completed work, and release finished tickets."""
        rows = [
            row for ticket in self._list_tickets() if not ticket.is_over for row in ticket.rows if row.exposure is None
        ]
        batch = batch_selection.select_batch(rows, self._cap_of, self._models.fits_in_memory)
        if batch:
            self._print(batch)
        self._passes.book(left=self._accelerator.ahead if batch else 0)
        self._report_progress()
        self._release()

    def _print(self, batch: Sequence[Row]) -> None:
        """Take one step with *batch*, whose rows share one lane."""
        family = self._open_family(batch)
        if family is None:
            return
        self._set_economy(family, batch[0].ticket.request)
        batch = batch[: self._cap_of(batch[0])]  # may only be known now that the model is loaded
        for ticket in collect_tickets(batch):
            if not ticket.is_begun:
                self._together(ENCODE, ticket.rows, lambda rows: _begin_ticket(family, rows[0].ticket))
        self._together(
            DENOISE, [row for row in batch if _needs_phase(DENOISE, row)], lambda rows: _step_rows(family, rows)
        )
        done = [row for row in batch if row.is_denoised and row.ticket.error is None]
        most = self._limits.of_decoding(batch[0].ticket.request, max(1, len(done)))
        for start in range(0, len(done), most):
            part = [row for row in done[start : start + most] if _needs_phase(DECODE, row)]
            self._together(DECODE, part, lambda rows: self._decode(family, rows))

    def _open_family(self, batch: Sequence[Row]) -> Any:
        """Return the batch's model with its adapters, or end the batch and return None if it is unavailable."""
        request = batch[0].ticket.request
        try:
            with self._accelerator.translating():
                if not self._models.is_ready(request):
                    self._passes.book()  # overhead must not overlap a pass
                return self._models.open(request, self._watchdog)
        except PressroomError as error:
            if isinstance(error, OutOfMemoryError) and self._models.evict_others(request.model):
                return self._open_family(batch)
            for ticket in collect_tickets(batch):
                ticket.fail(error)
            return None

    def _together(self, phase: str, rows: Sequence[Row], work: Callable[[Sequence[Row]], None]) -> None:
        """Run *work* for *rows* in one pass; on failure split it until only the rows at fault fail."""
        if not rows:
            return
        try:
            with self._accelerator.translating():
                self._passes.run(phase, rows, lambda: work(rows))
            self._limits.note_success(rows[0].ticket.request, phase)
        except PressroomError as error:
            parts = self._split(phase, rows, error)
            if parts is None:
                for ticket in collect_tickets(rows):
                    ticket.fail(error)
                return
            for part in parts:
                # The pass may have failed half-way, so some of its rows may already be done.
                self._together(phase, [row for row in part if _needs_phase(phase, row)], work)

    def _split(self, phase: str, rows: Sequence[Row], error: PressroomError) -> list[Sequence[Row]] | None:
        """Return the rows to retry, in two halves unless saving memory may help, or None if a retry cannot help.

        What does not fit beside other models is retried without them.
        """
        request = rows[0].ticket.request
        if phase == DECODE and isinstance(error, OutOfMemoryError) and self._limits.economize(request):
            self._accelerator.free()
            log.warning("decoding_economized", lane=rows[0].lane, level=self._limits.find_economy(request))
            return [rows]
        if phase == ENCODE or len(rows) == 1:
            is_crowded = isinstance(error, OutOfMemoryError) and self._models.evict_others(request.model)
            return [rows] if is_crowded else None
        middle = (len(rows) + 1) // 2
        if isinstance(error, OutOfMemoryError):
            self._accelerator.free()
            self._limits.lower(request, middle, phase)
            log.warning("batch_cap_lowered", lane=rows[0].lane, phase=phase, cap=middle)
        elif len(collect_tickets(rows)) == 1:
            return None
        return [rows[:middle], rows[middle:]]

    def _decode(self, family: Any, rows: Sequence[Row]) -> None:
        self._set_economy(family, rows[0].ticket.request)
        exposures = self._accelerator.expose(family.decode([row.drawing for row in rows]))
        for row, exposure in zip(rows, exposures, strict=True):
            row.exposure = exposure

    def _set_economy(self, family: Any, request: ImageRequest) -> None:
        """Let the autoencoder save as much memory as the lane needs, for pictures to encode as well."""
        if getattr(family, "economies", 0):
            family.economize(self._limits.find_economy(request))

    def _report_progress(self) -> None:
        """Report progress to every watch, including those of waiting requests: any of them may stop its request."""
        for ticket in self._list_tickets():
            ticket.report_progress()

    def _release(self) -> None:
        ended = [ticket for ticket in self._list_tickets() if ticket.is_over and ticket.open_passes == 0]
        with self._changed:
            self._tickets = [ticket for ticket in self._tickets if ticket not in ended]
        for ticket in ended:
            ticket.report_progress()
            ticket.end()

    def _cap_of(self, row: Row) -> int:
        return self._limits.of(row.ticket.request)


def _needs_phase(phase: str, row: Row) -> bool:
    if row.ticket.error is not None:
        return False
    if phase == DECODE:
        return row.exposure is None and row.is_denoised  # a run that failed may have gone back to its first step
    return not row.is_denoised


def _begin_ticket(family: Any, ticket: Ticket) -> None:
    drawings = family.begin(ticket.request, ticket.request.seeds, ticket.inputs)
    ticket.tokens = family.count_tokens(ticket.request)
    for row, drawing in zip(ticket.rows, drawings, strict=True):
        row.drawing = drawing


def _step_rows(family: Any, rows: Sequence[Row]) -> None:
    family.step([row.drawing for row in rows])
