"""``pressroom keys``: how whoever runs the service makes the first key of each owner."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.orm import Session

from common import keys as key_store, schema
from common.cli.tables import print_table
from common.database import Database
from common.keys import NAME, TENANT_SCOPES, Scope
from common.settings import Settings


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.option("--name", required=True, help="What the key is called.")
@click.option("--owner", help="Whose jobs it makes and sees; by default an owner called like the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    default=[scope.value for scope in TENANT_SCOPES],
    help=f"What it may do, repeated for several; by default all but {Scope.USAGE_HOUSE}, which shows every owner's, and "
    f"{Scope.KEYS_ADMIN}, which makes keys.",
)
def create(name: str, owner: str | None, scopes: tuple[str, ...]) -> None:
    """Make a key and print it, alone, on standard output: it cannot be shown again."""
    for label, value in (("name", name), ("owner", owner or name)):
        if not NAME.fullmatch(value):
            raise click.BadParameter(
                "1 to 64 letters, digits, spaces and . _ @ + - are allowed, a letter or digit first.",
                param_hint=f"--{label}",
            )
    with _transaction() as session:
        key = key_store.create(session, name, owner, [*map(Scope, scopes)])
    click.echo(key)


@keys.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List all keys; what they open with is not kept."""
    with _transaction() as session:
        rows = [
            {
                "id": row.prefix,
                "name": row.name,
                "owner": row.owner,
                "scopes": row.scopes,
                "created_at": row.created_at.isoformat(),
                "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
                "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
            }
            for row in key_store.list_all(session)
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    print_table(
        ["id", "name", "owner", "created", "last used", "revoked"],
        [
            [row["id"], row["name"], row["owner"], row["created_at"], row["last_used_at"], row["revoked_at"]]
            for row in rows
        ],
    )


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Revoke the key with this ID: the eight characters after `prk_`."""
    with _transaction() as session:
        is_revoked = key_store.revoke(session, key_id)
    if not is_revoked:
        raise click.ClickException(f"There is no key {key_id!r} to revoke; `pressroom keys list` shows all.")
    click.echo(f"Key {key_id} is revoked.", err=True)


@contextmanager
def _transaction() -> Iterator[Session]:
    settings = Settings.from_environ()
    database = Database(settings.sqlalchemy_url)
    try:
        schema.require_newest(database)
        with database.transaction() as session:
            yield session
    finally:
        database.close()
