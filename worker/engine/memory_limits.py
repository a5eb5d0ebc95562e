"""What fits in memory, learned from failures and forgotten after a while of success."""

from dataclasses import dataclass, field

PATIENCE = 64
"""Successful passes after which a limit is relaxed by a step."""

LONGEST_PATIENCE = 64 * PATIENCE
"""Each relaxation that fails again doubles the patience up to this: every attempt costs a failed pass."""


@dataclass
class Patience:
    """Counts successes until the next attempt to relax a limit."""

    wanted: int = PATIENCE
    successes: int = 0
    is_relaxed: bool = False  # since the last failure

    def fail(self) -> None:
        """Note a failure: after a relaxation the next one takes twice as long."""
        if self.is_relaxed:
            self.wanted = min(2 * self.wanted, LONGEST_PATIENCE)
        self.successes, self.is_relaxed = 0, False

    def succeed(self) -> bool:
        """Note a success; return whether the limit is to be relaxed now."""
        self.successes += 1
        if self.successes < self.wanted:
            return False
        self.successes, self.is_relaxed = 0, True
        return True


@dataclass
class RowLimits:
    """The rows that fit in memory at once, for each lane in which a pass did not fit."""

    _rows: dict[str, int] = field(default_factory=dict)
    _patience: dict[str, Patience] = field(default_factory=dict)

    def limit(self, lane: str, rows: int) -> int:
        """Return *rows*, or fewer if they do not fit."""
        return max(1, min(rows, self._rows.get(lane, rows)))

    def lower(self, lane: str, rows: int) -> None:
        """Limit a lane to *rows*."""
        self._patience.setdefault(lane, Patience()).fail()
        self._rows[lane] = self.limit(lane, rows)

    def note_success(self, lane: str, largest: int) -> None:
        """Double the limit of a lane if enough passes have succeeded, up to the *largest* batch."""
        if lane in self._rows and self._patience[lane].succeed():
            self._rows[lane] *= 2
            if self._rows[lane] >= largest:
                del self._rows[lane]  # its patience stays, in case that it fails again


@dataclass
class DecodingEconomy:
    """How much memory the decoder has to save in each lane: 0 nothing, 1 by slicing, 2 by tiling as well."""

    _levels: dict[str, int] = field(default_factory=dict)
    _patience: dict[str, Patience] = field(default_factory=dict)

    def find_level(self, lane: str) -> int:
        """Return the level of a lane."""
        return self._levels.get(lane, 0)

    def tighten(self, lane: str, highest: int) -> bool:
        """Raise the level of a lane by one; return whether that was possible."""
        if self.find_level(lane) >= highest:
            return False
        self._patience.setdefault(lane, Patience()).fail()
        self._levels[lane] = self.find_level(lane) + 1
        return True

    def note_success(self, lane: str) -> None:
        """Lower the level of a lane if enough passes have succeeded."""
        if self.find_level(lane) > 0 and self._patience[lane].succeed():
            self._levels[lane] -= 1
