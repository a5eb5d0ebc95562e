"""``pressroom keys``: create, list and revoke API keys in the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import click
from sqlalchemy.orm import Session

from common.access import keys as key_store
from common.access.keys import KEY_NAME_PATTERN, TENANT_SCOPES, RetentionDays, Scope
from common.cli.output import as_json_option, print_json, print_table
from common.db import schema
from common.db.engine import Database
from common.safety.policy import Policy, PolicyOverrides, Recourse, ReviewAction
from common.settings import Settings
from common.settings.private_files import protect_data_directory
from common.settings.webhooks import LEAST_WEBHOOK_DAYS


@click.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.option("--name", required=True, help="Name of the key.")
@click.option("--owner", help="Owner of the key's jobs; by default the name of the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    default=[scope.value for scope in TENANT_SCOPES],
    help=f"Scope of the key; can be repeated. By default all except {Scope.USAGE_ALL} (costs of all owners), "
    f"{Scope.SAFETY_REVIEW} (review of blocked images), {Scope.KEYS_ADMIN} (management of keys), {Scope.AUDIT_READ} "
    f"and {Scope.AUDIT_ALL} (audit trail, of all owners).",
)
@click.option("--image-days", type=click.IntRange(1), help="Days to keep images.")
@click.option("--asset-days", type=click.IntRange(1), help="Days to keep uploaded assets.")
@click.option("--prompt-days", type=click.IntRange(1), help="Days to keep prompts and metadata of ended jobs.")
@click.option("--webhook-days", type=click.IntRange(LEAST_WEBHOOK_DAYS), help="Days to keep webhook messages.")
@click.option(
    "--review-above", type=click.FloatRange(0, 1), help="Safety score at which images are in the review band."
)
@click.option("--block-above", type=click.FloatRange(0, 1), help="Safety score at which images are blocked.")
@click.option(
    "--review-action",
    type=click.Choice([action.value for action in ReviewAction]),
    help="Action for images in the review band.",
)
@click.option(
    "--on-block",
    type=click.Choice([each.value for each in Recourse]),
    help="Action for blocked jobs.",
)
@as_json_option
def create(name: str, owner: str | None, scopes: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Create a key and print it on standard output; it cannot be shown again.

    Retention options that are not set default to PRESSROOM_IMAGE_DAYS and the other retention settings.
    """
    for label, value in (("name", name), ("owner", owner or name)):
        if not KEY_NAME_PATTERN.fullmatch(value):
            raise click.BadParameter(
                "Use 1 to 64 letters, digits, spaces and . _ @ + -, starting with a letter or digit.",
                param_hint=f"--{label}",
            )
    kept = RetentionDays(**{field.name: options.pop(field.name) for field in fields(RetentionDays)})
    overrides = PolicyOverrides.model_validate(options)
    if looser := Policy.of(Settings.from_environ()).find_looser(overrides):
        option = f"--{looser[0].replace('_', '-')}"
        raise click.BadParameter("A key's limits must not be less strict than the settings.", param_hint=option)
    with _open_transaction() as session:
        key = key_store.create_api_key(session, name, owner, [*map(Scope, scopes)], kept=kept, safety=overrides)
    if as_json:
        print_json({"key": key, "name": name, "owner": owner or name, "scopes": list(scopes)})
    else:
        click.echo(key)


@keys.command(name="list")
@as_json_option
def list_(as_json: bool) -> None:
    """List all keys, without their secrets."""
    with _open_transaction() as session:
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
            for row in key_store.list_api_keys(session)
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
    with _open_transaction() as session:
        is_revoked = key_store.revoke_api_key(session, key_id)
    if not is_revoked:
        raise click.ClickException(f"Unknown or already revoked key {key_id!r}; see `pressroom keys list`.")
    if as_json:
        print_json({"revoked": key_id})
    else:
        click.echo(f"Key {key_id} is revoked.", err=True)


@contextmanager
def _open_transaction() -> Iterator[Session]:
    settings = Settings.from_environ()
    protect_data_directory(settings.home)
    database = Database.of(settings)
    try:
        schema.check_schema_not_older(database)
        with database.transaction() as session:
            yield session
    finally:
        database.close()
