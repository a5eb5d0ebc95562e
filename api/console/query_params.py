"""What the lists are narrowed by, read from the address; what is not valid there narrows nothing."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from flask import request

from api.auth.bearer import caller
from api.runtime.context import services
from common.ids import parse_id

E = TypeVar("E", bound=StrEnum)


def read_choice(name: str, kind: type[E]) -> E | None:
    """Return the value of a choice."""
    given = request.args.get(name, "")
    return kind(given) if given in {*kind} else None


def read_text(name: str, most: int = 200) -> str:
    """Return a text that was typed in."""
    return request.args.get(name, "").replace("\0", "").strip()[:most]


def read_day(name: str, *, after: bool = False) -> datetime | None:
    """Return the beginning of a day, or that of the day *after*; in UTC, as are the days of accounts."""
    try:
        day = date.fromisoformat(request.args.get(name, ""))
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=after)
    except (ValueError, OverflowError):
        return None


def read_ids(name: str, most: int) -> list[UUID]:
    """Return the ids that are chosen, each once."""
    given = request.values.getlist(name)[:most]
    return [found for found in dict.fromkeys(map(parse_id, given)) if found is not None]


def read_cursor(book: str) -> UUID | None:
    """Return where the page begins; None at the beginning, and for a cursor that is none of this list."""
    return services().cursors.read(f"{caller().owner}/console/{book}", request.args.get("after", ""))


def write_cursor(book: str, last: UUID | None) -> str | None:
    """Return the cursor of the page that begins after *last*."""
    return None if last is None else services().cursors.write(f"{caller().owner}/console/{book}", last)


def chosen(*names: str) -> dict[str, str]:
    """Return what the address says of *names*, for links that keep it."""
    return {name: request.args[name] for name in names if request.args.get(name)}
