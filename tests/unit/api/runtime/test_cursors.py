"""Cursors are good for those whom they were given to."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from api.runtime.cursors import Cursors
from api.web.errors import RefusedError
from common.db.ids import create_id


@dataclass(frozen=True)
class Row:
    id: UUID


@dataclass(frozen=True)
class Asked:
    limit: int
    cursor: str | None = None


ROWS = [Row(create_id()) for _ in range(5)]


def fetch(*, after: UUID | None, limit: int) -> Sequence[Row]:
    start = 0 if after is None else 1 + [row.id for row in ROWS].index(after)
    return ROWS[start : start + limit]


def test_a_cursor_decodes_to_its_id() -> None:
    last = create_id()
    cursors = Cursors(b"secret")
    assert cursors.read("ada", cursors.write("ada", last)) == last


def test_a_cursor_is_invalid_for_another_owner_or_secret() -> None:
    cursor = Cursors(b"secret").write("ada", create_id())
    assert Cursors(b"secret").read("bob", cursor) is None
    assert Cursors(b"other").read("ada", cursor) is None


@pytest.mark.parametrize("cursor", ["", "x", "a.b", "\0", "é", "." * 300])
def test_a_forged_cursor_is_invalid(cursor: str) -> None:
    assert Cursors(b"secret").read("ada", cursor) is None


def test_pages_follow_each_other_and_the_last_one_has_no_cursor() -> None:
    cursors, pages, cursor = Cursors(b"secret"), [], None
    while True:
        page = cursors.paged("ada", Asked(2, cursor), fetch)
        pages.append([*page.rows])
        cursor = page.next
        assert page.has_more == (cursor is not None)
        if cursor is None:
            break
    assert pages == [ROWS[:2], ROWS[2:4], ROWS[4:]]


def test_a_page_that_holds_all_rows_has_no_next_one() -> None:
    page = Cursors(b"secret").paged("ada", Asked(5), fetch)
    assert (page.rows, page.next) == (ROWS, None)


def test_rows_may_have_their_id_elsewhere() -> None:
    cursors = Cursors(b"secret")

    def fetch_pairs(*, after: UUID | None, limit: int) -> Sequence[tuple[str, Row]]:
        return [("x", row) for row in fetch(after=after, limit=limit)]

    page = cursors.paged("ada", Asked(2), fetch_pairs, lambda pair: pair[1].id)
    assert page.next is not None
    assert cursors.read("ada", page.next) == ROWS[1].id


def test_a_cursor_of_another_list_is_refused() -> None:
    cursors = Cursors(b"secret")
    cursor = cursors.write("ada/images", ROWS[0].id)
    with pytest.raises(RefusedError) as caught:
        cursors.paged("ada/assets", Asked(2, cursor), fetch)
    assert caught.value.code == "invalid_cursor"
