"""The command line: what each command is called; its module is imported when it is used."""

import importlib
import sys

import click

from common.errors import PressroomError, SettingsError

EXIT_BAD_SETTINGS = 78
"""Like ``common.settings.EXIT_BAD_SETTINGS``, which would take a while to import."""

COMMANDS = {
    "up": "Run the whole stack in the foreground.",
    "top": "Watch the press floor.",
    "submit": "Order a picture.",
    "jobs": "List, show, watch, cancel and retry jobs.",
    "images": "List, download and delete images.",
    "campaign": "Print one template for many recipients.",
    "styles": "List, show and make styles.",
    "models": "List models; check and add a directory that holds one.",
    "usage": "Account for accelerator seconds and money.",
    "webhooks": "List, make and try webhooks, and see what was sent.",
    "keys": "Make, list and revoke API keys.",
    "safety": "Fetch further checkers; count refused prompts.",
    "provenance": "Make a certificate that images are signed with.",
    "migrate": "Bring the database to the newest schema.",
    "doctor": "Check that everything Pressroom needs is there.",
    "demo": "Print ten pictures and a small campaign on this machine.",
    "completion": "Have a shell complete what is typed.",
}
"""Each command's help; it is the object of the same name in the module of the same name."""


class Commands(click.Group):
    """The commands of the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"common.cli.commands.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pressroom")
def pressroom() -> None:
    """Order pictures, and run the service that prints them.

    Settings are read from PRESSROOM_* variables.
    """


def main() -> None:
    """Run the command line; a foreseen fault ends it with one sentence."""
    try:
        pressroom.main(prog_name="pressroom")
    except SettingsError as error:
        click.echo(f"Error: {error.message}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)
    except PressroomError as error:
        click.echo(f"Error: {error.message}", err=True)
        sys.exit(1)
