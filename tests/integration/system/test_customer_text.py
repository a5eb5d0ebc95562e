"""The search for words where none must be finds them there."""

from pathlib import Path

import pytest
from sqlalchemy import update

from common.db.engine import Database
from common.db.types import Base
from common.settings import Settings
from common.storage import open_storage
from common.storage.port import Storage
from common.tables import Attempt, Job
from tests.support import factories
from tests.support.customer_text import MEANT_FOR_WORDS, find_misplaced_text

CUSTOMER_TEXT = "canary-7d1c"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(Settings(home=tmp_path))


def test_customer_text_is_found_in_columns_and_keys_not_meant_for_it(
    sqlite_database: Database, storage: Storage
) -> None:
    job = factories.submit(sqlite_database, request={"prompt": CUSTOMER_TEXT}, annotations={"name": CUSTOMER_TEXT})
    assert find_misplaced_text(sqlite_database, storage, CUSTOMER_TEXT) == []
    held = factories.claim(sqlite_database, factories.press(sqlite_database))
    assert held is not None
    with sqlite_database.transaction() as session:
        session.execute(update(Job).where(Job.id == job.id).values(error_message=f"could not draw {CUSTOMER_TEXT}"))
        session.execute(update(Attempt).values(phases={CUSTOMER_TEXT: 1.0}))
    storage.put(f"owners/ada/{CUSTOMER_TEXT}.png", b"", "image/png")
    assert find_misplaced_text(sqlite_database, storage, CUSTOMER_TEXT) == [
        "jobs.error_message",
        "attempts.phases",
        f"owners/ada/{CUSTOMER_TEXT}.png",
    ]


def test_every_column_meant_for_customer_text_exists() -> None:
    columns = {f"{table.name}.{column.name}" for table in Base.metadata.sorted_tables for column in table.columns}
    assert columns >= MEANT_FOR_WORDS
