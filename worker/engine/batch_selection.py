"""Batch selection: the most urgent row determines the lane, and that lane's most urgent rows fill the batch.

Interactive rows go before bulk rows, and rows whose model is loaded before rows that need another model. No row
starves: after a number of passes it is overdue, and the row that has been overdue the longest goes first. So a row
waits at most ``patience + n − 1`` passes, where n is the number of rows in hand when it became overdue: each row that
was overdue before it goes first once.
"""

from collections.abc import Callable, Iterable, Sequence

from common.states.jobs import Priority
from worker.engine.tickets import Row

PATIENCE = {Priority.INTERACTIVE: 8, Priority.BULK: 32}
"""Passes after which a row is overdue if its model is loaded."""

SWAP_PATIENCE = 128
"""Passes after which a row is overdue if it needs another model; loading takes as long as many steps."""

Urgency = tuple[bool, int, bool, bool, int]


def select_batch(rows: Sequence[Row], cap_of: Callable[[Row], int], is_resident: Callable[[str], bool]) -> list[Row]:
    """Return the rows for the next pass, chosen from *rows* in arrival order; at least one if there are any.

    Counts one more missed pass for the others.
    """
    if not rows:
        return []
    # min keeps the first of equals, so equal rows are served in arrival order.
    lead = min(rows, key=lambda row: _compute_urgency(row, is_resident))
    company = sorted((row for row in rows if row.lane == lead.lane), key=_compute_lane_urgency)
    company.remove(lead)
    batch = [lead, *company][: max(1, cap_of(lead))]
    _update_waits(rows, batch)
    return batch


def compute_patience(row: Row, *, is_resident: bool) -> int:
    """Return the number of missed passes after which a row is overdue."""
    return PATIENCE[row.ticket.priority] if is_resident else SWAP_PATIENCE


def _compute_urgency(row: Row, is_resident: Callable[[str], bool]) -> Urgency:
    resident = is_resident(row.ticket.request.model)
    overdue = row.waited - compute_patience(row, is_resident=resident)
    is_bulk = row.ticket.priority is Priority.BULK
    if overdue >= 0:
        return False, -overdue, False, False, 0
    return True, 0, not resident, is_bulk, -row.waited


def _compute_lane_urgency(row: Row) -> tuple[bool, bool]:
    is_overdue = row.waited >= PATIENCE[row.ticket.priority]
    return not is_overdue, row.ticket.priority is Priority.BULK


def _update_waits(rows: Iterable[Row], batch: Iterable[Row]) -> None:
    for row in rows:
        row.waited += 1
    for row in batch:
        row.waited = 0
