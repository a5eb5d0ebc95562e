"""``pressroom safety``: download safety checkers and count refused prompts."""

import click

from common.cli.output import as_json_option, print_json, print_table
from common.db import schema
from common.db.engine import Database
from common.safety import nsfwjs_package, refusal_counts
from common.settings import Settings
from common.settings.private_files import protect_data_directory


@click.group()
def safety() -> None:
    """Download safety checkers; count refused prompts."""


@safety.command()
@as_json_option
def fetch(as_json: bool) -> None:
    """Download the weights of the checker nsfwjs (6 MB) from npm to PRESSROOM_HOME."""
    settings = Settings.from_environ()
    protect_data_directory(settings.home)
    folder = nsfwjs_package.download_weights(settings.home)
    if as_json:
        print_json({"folder": str(folder)})
        return
    click.echo(f"The weights are in {folder}. Set PRESSROOM_CHECKER=open_nsfw,nsfwjs to use both checkers.", err=True)


@safety.command(name="refusals")
@as_json_option
def refusals_(as_json: bool) -> None:
    """Count refused prompts by day, owner and category."""
    database = Database.of(Settings.from_environ())
    try:
        schema.check_schema_not_older(database)
        with database.reading() as session:
            rows = refusal_counts.list_refusals(session)
    finally:
        database.close()
    if as_json:
        print_json(
            [{"day": str(row.day), "owner": row.owner, "category": row.category, "prompts": row.count} for row in rows]
        )
        return
    print_table(
        ["day", "owner", "category", "prompts"], [[row.day, row.owner, row.category, row.count] for row in rows]
    )
