"""Pagination cursors: opaque, signed and valid only for the owner they were issued to."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer

from api.web.errors import RefusedError
from common.db.pages import FoundPage

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class FetchRows(Protocol[T_co]):
    """Returns the rows of a list that follow the row with the ID *after* (None: from the start), at most *limit*."""

    def __call__(self, *, after: UUID | None, limit: int) -> Sequence[T_co]:
        """Return the rows."""


class FindPage(Protocol[T]):
    """Returns the page of a list that follows the row with the ID *after* (None: from the start)."""

    def __call__(self, *, after: UUID | None, limit: int) -> FoundPage[T]:
        """Return at most *limit* rows, and where the next page begins."""


class PageQuery(Protocol):
    """The paging parameters of a request."""

    @property
    def limit(self) -> int:
        """Return the maximum number of rows."""

    @property
    def cursor(self) -> str | None:
        """Return the cursor of the page; None for the first page."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """The rows of a page, and the cursor of the next page; None on the last page."""

    rows: Sequence[T]
    next: str | None

    @property
    def has_more(self) -> bool:
        """Return whether there is a next page."""
        return self.next is not None


class Cursors:
    """Writes and reads cursors of lists ordered by ID."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, owner: str, last: UUID) -> str:
        """Return the cursor of the page that starts after *last*."""
        text = self._serializer(owner).dumps(last.hex)
        return text if isinstance(text, str) else text.decode()

    def read(self, owner: str, cursor: str) -> UUID | None:
        """Return the ID after which the page starts; None for a cursor that was not issued to *owner*."""
        try:
            return UUID(hex=self._serializer(owner).loads(cursor))
        except BadData:
            return None

    def paged(
        self,
        book: str,
        query: PageQuery,
        fetch: FetchRows[T],
        get_id: Callable[[T], UUID] = attrgetter("id"),
    ) -> Page[T]:
        """Return the page of the list *book* that *query* asks for; raise RefusedError with ``invalid_cursor``."""
        return self.fetch_page(book, self._read_position(book, query), query.limit, fetch, get_id)

    def fetch_page(
        self,
        book: str,
        after: UUID | None,
        limit: int,
        fetch: FetchRows[T],
        get_id: Callable[[T], UUID] = attrgetter("id"),
    ) -> Page[T]:
        """Return the page of at most *limit* rows that starts after the row with the ID *after*."""
        found = fetch(after=after, limit=limit + 1)
        rows = found[:limit]
        return Page(rows, self.write(book, get_id(rows[-1])) if len(found) > limit else None)

    def found(self, book: str, query: PageQuery, find: FindPage[T]) -> Page[T]:
        """Return the page like ``paged``, of a list of which each page reads a bounded number of rows."""
        page = find(after=self._read_position(book, query), limit=query.limit)
        return Page(page.rows, None if page.next_after is None else self.write(book, page.next_after))

    def _read_position(self, book: str, query: PageQuery) -> UUID | None:
        after = None
        if query.cursor is not None and (after := self.read(book, query.cursor)) is None:
            raise RefusedError("invalid_cursor", "Use the unmodified `next` value of a page of this list.")
        return after

    def _serializer(self, owner: str) -> URLSafeSerializer:
        salt = f"pressroom.cursors.{owner}"
        return URLSafeSerializer(self._secret, salt=salt, signer_kwargs={"digest_method": hashlib.sha256})
