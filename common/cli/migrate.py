"""``pressroom migrate``."""

import click

from common import schema
from common.database import Database
from common.launcher import stack
from common.settings import Settings


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema, and enter the models on offer.

    `pressroom up` does it by itself.
    """
    settings = Settings.from_environ()
    stack.prepare_database(settings)
    database = Database(settings.sqlalchemy_url)
    click.echo(f"The database is at revision {schema.read_revision(database)}.")
    database.close()
