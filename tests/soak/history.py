"""What happened and when, a line of JSON each, so that a failure can be looked at afterwards."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class InjectedFault:
    """A fault: what it was, and when it began and was mended, in seconds since the epoch."""

    name: str
    began: float
    ended: float


class History:
    """Writes every event, and counts them by what they are; any thread may tell it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.struck: list[InjectedFault] = []

    def note(self, what: str, **about: Any) -> None:
        """Enter an event."""
        line = json.dumps({"at": round(time.time(), 3), "what": what, **about}, default=str)
        with self._lock:
            self._file.write(line + "\n")
            self.counts[what] += 1
            if what == "refused":
                self.refused[f"{about['status']} {about['code']}"] += 1

    def note_fault(self, struck: InjectedFault) -> None:
        """Enter a fault that is over."""
        self.note("fault", name=struck.name, began=struck.began, seconds=round(struck.ended - struck.began, 2))
        self.struck.append(struck)

    def close(self) -> None:
        """Write no more."""
        self._file.close()
