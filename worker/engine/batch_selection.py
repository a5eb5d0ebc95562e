"""Whose turn it is: the most urgent row names the lane, and its lane's most urgent rows fill the batch.

Interactive rows go before bulk rows, and rows whose model is in memory before rows that need another one loaded. No row
is passed over for ever: after so many passes it is overdue, and of the overdue rows the one that has been so for the
longest leads. So a row waits at most ``patience + n − 1`` passes, n being the rows in hand when it became overdue:
those that were overdue before it, each of which leads once.
"""

from collections.abc import Callable, Iterable, Sequence

from common.tables.states import Priority
from worker.engine.tickets import Row

PATIENCE = {Priority.INTERACTIVE: 8, Priority.BULK: 32}
"""Passes after which a row is overdue whose model is in memory."""

SWAP_PATIENCE = 128
"""Passes after which a row is overdue that needs another model loaded; a load takes as long as many steps."""

Urgency = tuple[bool, int, bool, bool, int]


def choose(rows: Sequence[Row], cap_of: Callable[[Row], int], is_resident: Callable[[str], bool]) -> list[Row]:
    """Return the rows, given in the order in which they came, that make the next pass; at least one if there are any.

    Counts the pass as waited for by the others.
    """
    if not rows:
        return []
    # min keeps the first of equals, so among equals it is first come, first served.
    lead = min(rows, key=lambda row: _urgency(row, is_resident))
    company = sorted((row for row in rows if row.lane == lead.lane), key=_urgency_in_lane)
    company.remove(lead)
    batch = [lead, *company][: max(1, cap_of(lead))]
    _count(rows, batch)
    return batch


def patience_of(row: Row, *, is_resident: bool) -> int:
    """Return how many passes a row lets pass before it is overdue."""
    return PATIENCE[row.ticket.priority] if is_resident else SWAP_PATIENCE


def _urgency(row: Row, is_resident: Callable[[str], bool]) -> Urgency:
    resident = is_resident(row.ticket.request.model)
    overdue = row.waited - patience_of(row, is_resident=resident)
    is_bulk = row.ticket.priority is Priority.BULK
    if overdue >= 0:
        return False, -overdue, False, False, 0
    return True, 0, not resident, is_bulk, -row.waited


def _urgency_in_lane(row: Row) -> tuple[bool, bool]:
    is_overdue = row.waited >= PATIENCE[row.ticket.priority]
    return not is_overdue, row.ticket.priority is Priority.BULK


def _count(rows: Iterable[Row], batch: Iterable[Row]) -> None:
    for row in rows:
        row.waited += 1
    for row in batch:
        row.waited = 0
