"""``pressroom up``."""

import os
import sys

import click

from common.launcher import stack
from common.settings import Settings


@click.command()
@click.option("--presses", default=1, show_default=True, type=click.IntRange(0, 64), help="How many presses to run.")
def up(presses: int) -> None:
    """Run the whole stack in the foreground: api, presses, clerk, embedded servers.

    What dies is started again. Ctrl-C or SIGTERM ends it all: the presses finish what they can, then the rest stops.
    """
    sys.exit(stack.run(Settings.from_environ(), os.environ, presses=presses))
