"""``pressroom migrate``."""

import click

from common import schema
from common.database import Database
from common.settings import Settings


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema.

    `pressroom up` does it by itself. No model is needed: each press enters the ones that it offers.
    """
    database = Database(Settings.from_environ().sqlalchemy_url)
    try:
        schema.upgrade(database)
        click.echo(f"The database is at revision {schema.read_revision(database)}.")
    finally:
        database.close()
