"""What campaigns cost: rows taken in per second, and the memory that it takes, ours ÷ a plain loop over the rows.

The plain loop inserts each row, commits and calls ``delay()``; ours renders and checks each, finds repeated recipients,
and keeps all or nothing.

Usage: ``python -m tests.bench.campaigns.campaign [--rows 100000] [--plain-rows 3000] [--databases sqlite,postgresql]``
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tests.bench import plots
from tests.bench.campaigns import importing
from tests.bench.campaigns.importing import Taken
from tests.bench.outcome import FOLDER, Outcome

OURS, PLAIN = "Pressroom", "plain loop + delay()"


def main(words: list[str] | None = None) -> None:
    """Measure on each database, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--plain-rows", type=int, default=3000, help="of the plain loop, whose rate does not change")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    found = {kind: importing.measure(kind, given.rows, given.plain_rows) for kind in given.databases.split(",")}
    options = {key: value for key, value in vars(given).items() if key != "out"}
    figures = {kind: asdict(taken) | {"ratio": taken.ratio} for kind, taken in found.items()}
    notes = ["The file is streamed over HTTP to one gunicorn worker; fsync on."]
    outcome = Outcome("campaign", options, [importing.tabulate(found, given.rows)], figures, notes)
    outcome.write(given.out, lambda path: _draw(path, found))


def _draw(path: Path, found: Mapping[str, Taken]) -> None:
    with plots.sheet(path, len(found), "Recipients taken in per second") as panels:
        for panel, (kind, taken) in zip(panels, found.items(), strict=True):
            rates = {OURS: taken.rows_per_second, PLAIN: taken.plain_rows_per_second}
            plots.draw_bars(panel, rates, f"rows/s on {kind}", OURS)


if __name__ == "__main__":
    main()
