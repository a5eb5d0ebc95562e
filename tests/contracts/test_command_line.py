"""Every command says what it does, prints JSON where it prints data, and stands on the page of the command line."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from common.cli import pressroom

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"

WITHOUT_DATA = {
    "pressroom up": "runs until it is stopped",
    "pressroom demo": "tells a story",
    "pressroom completion": "prints a script for a shell",
}
"""Commands that print nothing that a program would read, and why."""


def leaves(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Yield each command that does something, with its whole name."""
    if not isinstance(command, click.Group):
        yield ctx.command_path, command
        return
    for name in command.list_commands(ctx):
        inner = command.get_command(ctx, name)
        assert inner is not None
        yield from leaves(inner, click.Context(inner, info_name=name, parent=ctx))


FOUND = dict(leaves(pressroom, click.Context(pressroom, info_name="pressroom")))


@pytest.mark.parametrize("name", FOUND)
def test_every_command_has_a_line_of_help_and_each_of_its_options_too(name: str) -> None:
    command = FOUND[name]
    assert command.help
    assert command.help.strip().splitlines()[0].endswith((".", ":", ","))
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]}"


@pytest.mark.parametrize("name", FOUND)
def test_every_command_that_prints_data_prints_json_if_asked(name: str) -> None:
    takes_json = any("--json" in option.opts for option in FOUND[name].params)
    assert takes_json == (name not in WITHOUT_DATA)


def test_the_page_lists_exactly_the_commands_with_their_help_texts() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `pressroom ")]
    listed = {row[1].strip().strip("`"): row[2].strip() for row in (line.split("|") for line in lines)}
    assert listed == {name: command.get_short_help_str(limit=500) for name, command in FOUND.items()}
