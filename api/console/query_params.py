"""Read filters, ids and cursors from the query string; invalid values are ignored."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

from flask import request

from api.auth.bearer import current_caller
from api.runtime.context import current_context
from api.runtime.cursors import FetchRows, Page
from common.db.ids import parse_id

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


def read_choice(name: str, kind: type[E]) -> E | None:
    """Return the member of *kind* that the parameter names, or None."""
    given = request.args.get(name, "")
    return kind(given) if given in {*kind} else None


def read_text(name: str, most: int = 200) -> str:
    """Return the trimmed text of the parameter, at most *most* characters long."""
    return request.args.get(name, "").replace("\0", "").strip()[:most]


def read_day(name: str, *, after: bool = False) -> datetime | None:
    """Return the start of a day in UTC, or with *after* the start of the next day."""
    try:
        day = date.fromisoformat(request.args.get(name, ""))
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=after)
    except (ValueError, OverflowError):
        return None


def read_ids(name: str, most: int) -> list[UUID]:
    """Return the selected ids without duplicates."""
    given = request.values.getlist(name)[:most]
    return [found for found in dict.fromkeys(map(parse_id, given)) if found is not None]


def paged(
    book: str,
    limit: int,
    fetch: FetchRows[T],
    get_id: Callable[[T], UUID] = attrgetter("id"),
) -> Page[T]:
    """Return the page of the list *book* that the query string asks for; an invalid cursor shows the first page."""
    own_book = f"{current_caller().owner}/console/{book}"
    return current_context().cursors.fetch_page(own_book, decode_cursor(book), limit, fetch, get_id)


def decode_cursor(book: str) -> UUID | None:
    """Return the position after which the page starts; None for the first page or an invalid cursor."""
    return current_context().cursors.read(f"{current_caller().owner}/console/{book}", request.args.get("after", ""))


def encode_cursor(book: str, last: UUID | None) -> str | None:
    """Return the cursor of the page that starts after *last*."""
    return None if last is None else current_context().cursors.write(f"{current_caller().owner}/console/{book}", last)


def read_filters(*names: str) -> dict[str, str]:
    """Return the query parameters *names* that are set, for links that keep them."""
    return {name: request.args[name] for name in names if request.args.get(name)}
