"""``pressroom migrate``."""

import click

from common.cli.output import as_json_option, print_json
from common.db import schema
from common.db.engine import Database
from common.settings import Settings
from common.settings.private_files import protect_data_directory


@click.command()
@as_json_option
def migrate(as_json: bool) -> None:
    """Migrate the database to the newest schema.

    `pressroom up` does this automatically. Models are registered by the presses, not by this command.
    """
    settings = Settings.from_environ()
    protect_data_directory(settings.home)
    database = Database.of(settings)
    try:
        schema.upgrade_schema(database)
        revision = schema.fetch_revision(database)
    finally:
        database.close()
    if as_json:
        print_json({"revision": revision})
    else:
        click.echo(f"The database is at revision {revision}.")
