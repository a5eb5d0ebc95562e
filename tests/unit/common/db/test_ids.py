"""Identifiers."""

import pytest

from common.db.ids import create_id, parse_id


def test_ids_grow_in_the_order_in_which_they_are_made() -> None:
    made = [create_id() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_are_uuids_of_version_seven() -> None:
    assert create_id().version == 7


def test_an_id_reads_back() -> None:
    made = create_id()
    assert parse_id(str(made)) == made
    assert parse_id(str(made).upper()) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "../",
        "%00",
        "1 OR 1=1",
        "{0193a5b0-0000-7000-8000-000000000000}",
        "0193a5b0000070008000000000000000",
        "urn:uuid:0193a5b0-0000-7000-8000-000000000000",
        "0193a5b0-0000-7000-8000-00000000000\n",
        "x" * 10_000,
    ],
)
def test_any_other_spelling_of_an_id_is_rejected(text: str) -> None:
    assert parse_id(text) is None
