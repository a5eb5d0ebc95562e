"""What a migration must be called and where it must stand."""

import re

from alembic.script import ScriptDirectory

from common.db import schema

LAST_WITH_LOCK = "0009_serve_console.py"
"""The migrations up to version 0.1 lock the tables while they build an index."""

SCRIPTS = ScriptDirectory.from_config(schema._build_alembic_config())


def test_migrations_form_a_single_chain() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert all(not isinstance(script.down_revision, tuple) for script in SCRIPTS.walk_revisions())


def test_migrations_are_numbered_without_gaps_and_named_by_what_they_do() -> None:
    names = sorted(path.name for path in (schema.MIGRATIONS / "versions").glob("*.py"))
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z]+(_[a-z0-9]+)+\.py", name) for name in names)
    assert {script.revision for script in SCRIPTS.walk_revisions()} == {name[:4] for name in names}


def test_new_indexes_on_tables_in_use_are_created_concurrently() -> None:
    for path in (schema.MIGRATIONS / "versions").glob("*.py"):
        script = path.read_text(encoding="utf-8")
        upgrade = script.partition("def upgrade")[2].partition("def downgrade")[0]
        created = set(re.findall(r'op\.create_table\(\s*"(\w+)"', upgrade))
        indexed = set(re.findall(r'op\.create_index\(\s*[^,]+,\s*"(\w+)"', upgrade))
        assert path.name <= LAST_WITH_LOCK or indexed <= created, f"{path.name}: use migrations.indexes.create_index"


def test_every_migration_can_be_undone() -> None:
    assert all(callable(getattr(script.module, "downgrade", None)) for script in SCRIPTS.walk_revisions())
