"""``pressroom keys``: how whoever runs the service makes the first key of each owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import click
from sqlalchemy.orm import Session

from common import keys as key_store
from common.cli.output import as_json_option, print_json, print_table
from common.db import schema
from common.db.engine import Database
from common.keys import NAME, TENANT_SCOPES, Kept, Scope
from common.safety.policy import Policy, Recourse, ReviewAction, Wish
from common.settings import Settings
from common.settings.webhooks import LEAST_WEBHOOK_DAYS


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
    help=f"What it may do, repeated for several; by default all but {Scope.USAGE_HOUSE}, which shows every owner's, "
    f"{Scope.SAFETY_REVIEW}, which sees blocked pictures, and {Scope.KEYS_ADMIN}, which makes keys.",
)
@click.option("--image-days", type=click.IntRange(1), help="How long its images are kept.")
@click.option("--asset-days", type=click.IntRange(1), help="How long pictures that it hands in are kept.")
@click.option("--prompt-days", type=click.IntRange(1), help="How long prompts and metadata of its ended jobs are kept.")
@click.option(
    "--webhook-days", type=click.IntRange(LEAST_WEBHOOK_DAYS), help="How long messages about its jobs are kept."
)
@click.option(
    "--review-above", type=click.FloatRange(0, 1), help="Score from which its pictures are in the review band."
)
@click.option("--block-above", type=click.FloatRange(0, 1), help="Score from which its pictures are blocked.")
@click.option(
    "--review-action",
    type=click.Choice([action.value for action in ReviewAction]),
    help="What happens to its pictures in the review band.",
)
@click.option(
    "--on-block",
    type=click.Choice([each.value for each in Recourse]),
    help="What becomes of its jobs that are blocked.",
)
@as_json_option
def create(name: str, owner: str | None, scopes: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Make a key and print it, alone, on standard output: it cannot be shown again.

    What is not said about how long things are kept is as PRESSROOM_IMAGE_DAYS and the like say.
    """
    for label, value in (("name", name), ("owner", owner or name)):
        if not NAME.fullmatch(value):
            raise click.BadParameter(
                "1 to 64 letters, digits, spaces and . _ @ + - are allowed, a letter or digit first.",
                param_hint=f"--{label}",
            )
    kept = Kept(**{field.name: options.pop(field.name) for field in fields(Kept)})
    wish = Wish.model_validate(options)
    if looser := Policy.of(Settings.from_environ()).find_looser(wish):
        option = f"--{looser[0].replace('_', '-')}"
        raise click.BadParameter("A key may only be stricter than the settings.", param_hint=option)
    with _transaction() as session:
        key = key_store.create(session, name, owner, [*map(Scope, scopes)], kept=kept, safety=wish)
    if as_json:
        print_json({"key": key, "name": name, "owner": owner or name, "scopes": list(scopes)})
    else:
        click.echo(key)


@keys.command(name="list")
@as_json_option
def list_(as_json: bool) -> None:
    """List all keys; what they open with is not kept."""
    with _transaction() as session:
        rows = [
            {
                "id": row.prefix,
                "name": row.name,
                "owner": row.owner,
                "scopes": row.scopes,
                "safety": row.safety,
                "created_at": row.created_at.isoformat(),
                "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
                "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
            }
            for row in key_store.list_all(session)
        ]
    if as_json:
        print_json(rows)
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
@as_json_option
def revoke(key_id: str, as_json: bool) -> None:
    """Revoke the key with this ID: the eight characters after `prk_`."""
    with _transaction() as session:
        is_revoked = key_store.revoke(session, key_id)
    if not is_revoked:
        raise click.ClickException(f"There is no key {key_id!r} to revoke; `pressroom keys list` shows all.")
    if as_json:
        print_json({"revoked": key_id})
    else:
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
