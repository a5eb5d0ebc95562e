"""API keys, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from common.access import keys
from common.access.keys import Scope
from common.db.clock import now_sql
from common.db.engine import Database
from common.tables import ApiKey


def _create(database: Database, name: str = "ada", **changes: object) -> str:
    with database.transaction() as session:
        return keys.create_api_key(session, name, **changes)  # type: ignore[arg-type]  # an owner or scopes


def test_a_key_resolves_to_its_owner_and_scopes(database: Database) -> None:
    key = _create(database, "shop", owner="ada", scopes=(Scope.JOBS_READ,))
    with database.reading() as session:
        row = keys.find_api_key(session, key)
    assert row is not None
    assert (row.owner, row.name, row.scopes) == ("ada", "shop", ["jobs:read"])


def test_only_a_digest_of_a_key_is_stored(database: Database) -> None:
    key = _create(database)
    secret = key.split("_", 2)[2]
    with database.reading() as session:
        row = session.scalars(select(ApiKey)).one()
    assert all(secret not in str(getattr(row, column.key)) for column in ApiKey.__mapper__.column_attrs)


def test_keys_are_unique(database: Database) -> None:
    assert len({_create(database) for _ in range(20)}) == 20


def test_a_wrong_key_is_not_found(database: Database) -> None:
    key = _create(database)
    another = _create(database, "grace")
    wrong = [
        "",
        "prk_",
        key[:-1],
        key + "x",
        key[:-1] + ("A" if key[-1] != "A" else "B"),
        key[:13] + another[13:],
        key.upper(),
        "\0" * 56,
        "é" * 56,
        "x" * 1_000_000,
    ]
    with database.reading() as session:
        assert [keys.find_api_key(session, each) for each in wrong] == [None] * len(wrong)


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_an_expired_key_is_not_found(database: Database, column: str) -> None:
    key = _create(database)
    with database.transaction() as session:
        session.execute(update(ApiKey).values({column: now_sql(session, -timedelta(seconds=1))}))
    with database.reading() as session:
        assert keys.find_api_key(session, key) is None


def test_a_key_can_be_revoked_once_by_its_id(database: Database) -> None:
    key = _create(database)
    prefix = key.split("_")[1]
    with database.transaction() as session:
        assert keys.revoke_api_key(session, prefix)
        assert not keys.revoke_api_key(session, prefix)
        assert keys.find_api_key(session, key) is None
        assert [row.prefix for row in keys.list_api_keys(session)] == [prefix]


def test_use_is_recorded_at_most_once_a_minute(database: Database) -> None:
    key = _create(database)

    def use() -> object:
        with database.transaction() as session:
            row = keys.find_api_key(session, key)
            assert row is not None
            keys.record_api_key_use(session, row)
        with database.reading() as session:
            return session.scalar(select(ApiKey.last_used_at))

    first = use()
    assert first is not None
    assert use() == first
    with database.transaction() as session:
        session.execute(update(ApiKey).values(last_used_at=now_sql(session, -timedelta(minutes=2))))
    assert use() >= first  # type: ignore[operator]  # times
