"""Shared command options and output formatting."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class TimestampParam(click.ParamType[str]):
    """A date (midnight UTC) or an RFC 3339 timestamp, converted to a timestamp."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time in UTC; fail if *value* is not a date or time."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date or time; use 2026-05-01 or 2026-05-01T09:30:00Z.", param, ctx)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return zoned.astimezone(UTC).isoformat().replace("+00:00", "Z")


since_option = click.option("--from", "since", type=TimestampParam(), help="Start of the period (inclusive).")
until_option = click.option("--to", "until", type=TimestampParam(), help="End of the period (exclusive).")


def print_json(data: object) -> None:
    """Print *data* on standard output."""
    click.echo(json.dumps(data, indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]], *, err: bool = False) -> None:
    """Print *rows* in columns under *titles*; None is shown as a dash, numbers are right-aligned."""
    texts = [["–" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *texts, strict=True)]
    numeric = [bool(rows) and all(isinstance(row[place], int | float) for row in rows) for place in range(len(titles))]
    for row in [list(titles), ["─" * width for width in widths], *texts]:
        cells = [
            text.rjust(width) if is_number else text.ljust(width)
            for text, width, is_number in zip(row, widths, numeric, strict=True)
        ]
        click.echo("  ".join(cells).rstrip(), err=err)
