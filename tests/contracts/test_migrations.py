"""What a migration must be called and where it must stand."""

import re

from alembic.script import ScriptDirectory

from common.db import schema

SCRIPTS = ScriptDirectory.from_config(schema._build_alembic_config())


def test_migrations_form_a_single_chain() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert all(not isinstance(script.down_revision, tuple) for script in SCRIPTS.walk_revisions())


def test_migrations_are_numbered_without_gaps_and_named_by_what_they_do() -> None:
    names = sorted(path.name for path in (schema.MIGRATIONS / "versions").glob("*.py"))
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z]+(_[a-z0-9]+)+\.py", name) for name in names)
    assert {script.revision for script in SCRIPTS.walk_revisions()} == {name[:4] for name in names}


def test_every_migration_can_be_undone() -> None:
    assert all(callable(getattr(script.module, "downgrade", None)) for script in SCRIPTS.walk_revisions())
