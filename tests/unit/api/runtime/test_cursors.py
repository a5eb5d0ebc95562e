"""Cursors are good for those whom they were given to."""

import pytest

from api.runtime.cursors import Cursors
from common.ids import create_id


def test_a_cursor_comes_back_as_its_id() -> None:
    last = create_id()
    cursors = Cursors(b"secret")
    assert cursors.read("ada", cursors.write("ada", last)) == last


def test_a_cursor_is_another_owners_or_secrets_nonsense() -> None:
    cursor = Cursors(b"secret").write("ada", create_id())
    assert Cursors(b"secret").read("bob", cursor) is None
    assert Cursors(b"other").read("ada", cursor) is None


@pytest.mark.parametrize("cursor", ["", "x", "a.b", "\0", "é", "." * 300])
def test_what_was_never_given_out_leads_nowhere(cursor: str) -> None:
    assert Cursors(b"secret").read("ada", cursor) is None
