"""Writes docs/openapi.json again: ``python -m tests.contracts.write_openapi``."""

import json
import tempfile
from pathlib import Path

from common.db import schema
from common.db.engine import Database
from tests.support.apis import open_api


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/pressroom.db")
        schema.upgrade_schema(database)
        document = open_api(database, Path(folder)).get("/openapi.json").json
        database.close()
    target = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
    target.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
