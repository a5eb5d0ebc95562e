"""Keys are looked up once a second, and one that is revoked opens nothing a second later."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from api.runtime import key_cache
from api.runtime.key_cache import KeyCache
from common.access import keys
from common.clock import utcnow
from common.db.engine import Database
from common.tables import ApiKey
from tests.support.waiting import until


@pytest.fixture
def key(database: Database) -> str:
    with database.transaction() as session:
        return keys.create_api_key(session, "ada")


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the database."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(database.engine, "before_cursor_execute", note)


def test_a_repeated_key_is_served_from_the_cache(
    database: Database, key: str, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 60)
    ring = KeyCache(database)
    first = ring.find(key)
    assert first is not None
    assert first.owner == "ada"
    statements.clear()
    assert ring.find(key) is first
    assert statements == []


def test_a_revoked_key_is_rejected_soon_after(database: Database, key: str) -> None:
    ring = KeyCache(database)
    assert ring.find(key) is not None
    with database.transaction() as session:
        assert keys.revoke_api_key(session, key.split("_")[1])
    until(lambda: ring.find(key) is None, "the key to be forgotten")
    assert key_cache.FRESH_SECONDS <= 1


def test_a_key_that_went_stale_during_its_lookup_is_not_cached(
    database: Database, key: str, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 0.0)
    ring = KeyCache(database)
    assert ring.find(key) is not None
    statements.clear()
    assert ring.find(key) is not None
    assert statements != []


def test_a_key_revoked_by_the_same_process_is_rejected_at_once(
    database: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 60)
    ring = KeyCache(database)
    assert ring.find(key) is not None
    with database.transaction() as session:
        keys.revoke_api_key(session, key.split("_")[1])
    ring.forget()
    assert ring.find(key) is None


def test_invalid_keys_are_not_cached(database: Database, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "FRESH_SECONDS", 60)
    with database.transaction() as session:
        session.execute(update(ApiKey).values(expires_at=utcnow() - timedelta(days=1)))
    ring = KeyCache(database)
    assert ring.find(key) is None
    with database.transaction() as session:
        session.execute(update(ApiKey).values(expires_at=utcnow() + timedelta(days=1)))
    assert ring.find(key) is not None
    assert ring.find(key[:-1] + ("a" if key[-1] != "a" else "b")) is None


def test_the_number_of_cached_keys_is_limited(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_cache, "MOST_KEYS", 2)
    ring = KeyCache(database)
    with database.transaction() as session:
        several = [keys.create_api_key(session, owner) for owner in ("ada", "bob", "eve")]
    for each in several:
        assert ring.find(each) is not None
    assert len(ring._known) <= 2
