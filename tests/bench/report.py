"""Prints what the benchmarks have written as Markdown, for the page on performance.

Usage: ``python -m tests.bench.report [--out FOLDER]``
"""

import argparse
import json
from pathlib import Path

from tests.bench.outcome import FOLDER, Table, describe_load


def main(words: list[str] | None = None) -> None:
    """Print every result in the folder, by name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the benchmarks wrote their results")
    for path in sorted(parser.parse_args(words).out.glob("*.json")):
        print(render(path))


def render(path: Path) -> str:
    """Return one result as Markdown; empty where the file is no result."""
    result = json.loads(path.read_text("utf-8"))
    if not isinstance(result, dict) or "tables" not in result:
        return ""
    options = ", ".join(f"{name} {value}" for name, value in result["options"].items())
    tables = [Table(**table).as_markdown() for table in result["tables"]]
    picture = f"![{result['name']}]({path.with_suffix('.png').name})"
    closing = " ".join([*result["notes"], describe_load(result["machine"]), f"Options: {options}."])
    return "\n\n".join([f"## {result['name']}", *tables, picture, closing]) + "\n"


if __name__ == "__main__":
    main()
