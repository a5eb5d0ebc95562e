"""``pressroom up``."""

import os
import sys

import click

from common.launcher import stack
from common.settings import Settings


@click.command()
@click.option("--presses", default=1, show_default=True, type=click.IntRange(0, 64), help="Number of presses.")
def up(presses: int) -> None:
    """Run the whole stack in the foreground: API, presses, clerk, embedded servers.

    Processes that exit are restarted. Ctrl-C or SIGTERM stops the stack after the presses finish their current work.
    """
    sys.exit(stack.run_stack(Settings.from_environ(), os.environ, presses=presses))
