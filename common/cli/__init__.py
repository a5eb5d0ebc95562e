"""The ``pressroom`` command; each subcommand's module is imported on use."""

import importlib
import sys

import click

from common.errors import PressroomError, SettingsError

EXIT_BAD_SETTINGS = 78
"""A copy of ``common.settings.EXIT_BAD_SETTINGS``, which is slow to import."""

COMMANDS = {
    "up": "Run the whole stack in the foreground.",
    "top": "Show presses, queue and costs live.",
    "submit": "Submit a job.",
    "jobs": "List, show, watch, cancel and retry jobs.",
    "images": "List, download and delete images.",
    "campaign": "Print one prompt template for many recipients.",
    "styles": "List, show and create styles.",
    "models": "List, check and add models.",
    "usage": "Report accelerator time and costs.",
    "webhooks": "List, create and test webhooks, and show deliveries.",
    "keys": "Create, list and revoke API keys.",
    "audit": "List who did what to which object.",
    "safety": "Download safety checkers; count refused prompts.",
    "provenance": "Create a certificate for signing images.",
    "migrate": "Migrate the database to the newest schema.",
    "doctor": "Check the installation.",
    "demo": "Generate ten images and a small campaign on this machine.",
    "completion": "Print a shell completion script.",
}
"""The help of each command, which is the object of the same name in the module of the same name."""


class Commands(click.Group):
    """A group that loads the commands in COMMANDS on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"common.cli.commands.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pressroom")
def pressroom() -> None:
    """Generate images, and run the service that generates them.

    Settings are read from PRESSROOM_* variables.
    """


def main() -> None:
    """Run the command line; expected errors are printed as one sentence."""
    try:
        pressroom.main(prog_name="pressroom")
    except SettingsError as error:
        click.echo(f"Error: {error.message}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)
    except PressroomError as error:
        click.echo(f"Error: {error.message}", err=True)
        sys.exit(1)
