"""What a benchmark hands over: its tables as text, a JSON file with every figure, and a plot."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path("var/bench")
"""Where results are written unless a command says otherwise."""

VERSIONS = ("torch", "diffusers", "pillow", "celery", "litserve")


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code; the load average tells who else was at work."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
    }


@dataclass(frozen=True)
class Table:
    """One table, its cells as they are to be read; the first column names the rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_text(self) -> str:
        """Return the table for a terminal: the first column to the left, numbers to the right."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        shown = ["  ".join(_align(cell, width, n) for n, (cell, width) in enumerate(zip(line, widths, strict=True)))
                 for line in lines]  # fmt: skip
        return "\n".join([self.title, "", *(line.rstrip() for line in shown)])

    def as_markdown(self) -> str:
        """Return the table as GitHub reads it."""
        ruler = ["---", *["---:"] * (len(self.columns) - 1)]
        lines = [" | ".join(line) for line in (self.columns, ruler, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in lines)])


@dataclass(frozen=True)
class Outcome:
    """One run of one benchmark."""

    name: str
    options: dict[str, Any]
    tables: Sequence[Table]
    figures: dict[str, Any]
    notes: Sequence[str] = ()
    machine: dict[str, Any] = field(default_factory=describe_machine)

    def write(self, folder: Path, draw: Callable[[Path], None]) -> None:
        """Print the tables, write ``NAME.json`` and have *draw* write ``NAME.png``, both into *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(asdict(self), indent=1, default=str) + "\n"
        (folder / f"{self.name}.json").write_text(content, "utf-8")
        draw(folder / f"{self.name}.png")
        print("\n\n".join([table.as_text() for table in self.tables]))
        print("\n" + "\n".join([*self.notes, describe_load(self.machine)]))
        print(f"{folder / self.name}.json and .png")


def describe_load(machine: dict[str, Any]) -> str:
    """Return the machine in a line."""
    loads = ", ".join(f"{load:.1f}" for load in machine["load_average"])
    return f"{machine['processor']}, {machine['cores']} cores; load average over 1, 5, 15 minutes: {loads}."


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
