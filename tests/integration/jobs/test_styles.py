"""Styles in the database: each change a new version, and none ever changed."""

import threading

import pytest

from common.db.engine import Database
from common.jobs import styles
from common.jobs.styles import StyleSpec, UnknownStyleError

WARM = StyleSpec(prompt_prefix="a watercolour of", steps=4, palette=("#ff8800", "#ffffff"))


def save(database: Database, name: str, spec: StyleSpec, owner: str = "ada") -> str:
    with database.transaction() as session:
        row, _ = styles.save_style(session, owner, name, spec)
        return styles.format_style_reference(row)


def resolve(database: Database, reference: str, owner: str = "ada") -> tuple[str, StyleSpec]:
    with database.reading() as session:
        return styles.resolve_style(session, owner, reference)


def test_a_name_resolves_to_its_newest_version_and_a_number_to_that_version(database: Database) -> None:
    cold = WARM.model_copy(update={"prompt_prefix": "an engraving of"})
    assert [save(database, "birthday", spec) for spec in (WARM, cold)] == ["birthday@1", "birthday@2"]
    assert resolve(database, "birthday") == ("birthday@2", cold)
    assert resolve(database, "birthday@1") == ("birthday@1", WARM)


def test_an_unchanged_style_creates_no_new_version(database: Database) -> None:
    assert [save(database, "birthday", WARM) for _ in range(2)] == ["birthday@1", "birthday@1"]


def test_a_style_is_visible_to_its_owner_alone(database: Database) -> None:
    save(database, "birthday", WARM)
    with pytest.raises(UnknownStyleError):
        resolve(database, "birthday", owner="eve")
    assert save(database, "birthday", WARM, owner="eve") == "birthday@1"


@pytest.mark.parametrize("reference", ["", "nothing", "birthday@2", "birthday@0", "birthday@01", "Birthday", "a@b@1"])
def test_a_reference_to_a_missing_style_is_unknown(database: Database, reference: str) -> None:
    save(database, "birthday", WARM)
    with pytest.raises(UnknownStyleError):
        resolve(database, reference)


def test_versions_made_at_once_all_get_a_number_of_their_own(database: Database) -> None:
    made: list[str] = []

    def make(number: int) -> None:
        made.append(save(database, "birthday", StyleSpec(steps=number)))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [f"birthday@{number}" for number in range(1, 9)]


def test_styles_are_listed_by_name_and_versions_newest_first(database: Database) -> None:
    for name in ("winter", "autumn", "spring"):
        save(database, name, WARM)
    save(database, "winter", StyleSpec())
    with database.reading() as session:
        first = styles.list_newest_styles(session, "ada", after=None, limit=2)
        assert [styles.format_style_reference(row) for row in first] == ["autumn@1", "spring@1"]
        rest = styles.list_newest_styles(session, "ada", after=first[-1].id, limit=2)
        assert [styles.format_style_reference(row) for row in rest] == ["winter@2"]
        versions = styles.list_style_versions(session, "ada", "winter", after=None, limit=5)
        assert [row.version for row in versions] == [2, 1]
        older = styles.list_style_versions(session, "ada", "winter", after=versions[0].id, limit=5)
        assert [row.version for row in older] == [1]
