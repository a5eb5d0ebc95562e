"""Compares the prompts of a list with what the models read of them, so that nobody pays for words without effect."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from common.campaigns.recipients.validation import ValidRow
from common.campaigns.spec import CampaignSpec
from common.models.prompt_counter import PromptCounter, ReadPrompt

MOST_CHARACTERS = 2_500_000
"""How much of a list is read, which takes a processor about two seconds; of a longer list, the first rows."""

MOST_NAMED = 5


@dataclass
class PromptLengths:
    """How much of a list's prompts the models read."""

    checked: int = 0
    """How many rows were looked at: all that were accepted, or the first of them."""
    is_whole: bool = True
    """Whether these are all."""
    longer: int = 0
    """How many of them have a prompt that is not read to its end."""
    first: list[tuple[int, int]] = field(default_factory=list)
    """The first of these: the row, and how many tokens at the end are left out."""
    are_alike: bool = False
    """Whether prompts that differ are the same, in each variant, as far as they are read."""

    @classmethod
    def from_row(cls, stored: dict[str, Any] | None) -> Self | None:
        """Read the lengths back from their JSON column."""
        return None if stored is None else cls(**stored)

    def to_row(self) -> dict[str, Any]:
        """Return the same as JSON."""
        return asdict(self)


@dataclass
class _Variant:
    """What the rows of one arm have in common."""

    prompt: str
    ids: object
    differs: bool = False
    is_read_alike: bool = True

    def compare(self, prompt: str, ids: object) -> None:
        self.differs = self.differs or prompt != self.prompt
        self.is_read_alike = self.is_read_alike and ids == self.ids


class LengthCheck:
    """Collects the lengths of the rows of one list, which come in chunks."""

    def __init__(self, spec: CampaignSpec, counter: PromptCounter | None) -> None:
        self._models = {arm.name: arm.request.model for arm in spec.arms}
        self._counter = counter
        self._lengths = PromptLengths()
        self._variants: dict[str, _Variant] = {}
        self._is_known = True
        self._characters = 0

    def add(self, rows: Sequence[ValidRow]) -> None:
        """Count the next *rows*; does not raise an error."""
        by_model = defaultdict[str, list[ValidRow]](list)
        for row in self._choose_rows(rows):
            by_model[self._models[row.arm]].append(row)
        longer = list[tuple[int, int]]()
        for model, group in by_model.items():
            read = None if self._counter is None else self._counter.read(model, [row.prompt for row in group])
            if read is None:
                self._is_known = False
                return
            for row, each in zip(group, read, strict=True):
                self._compare(row, each)
                if each.tokens.dropped:
                    longer.append((row.number, each.tokens.dropped))
        self._lengths.longer += len(longer)
        self._lengths.first += sorted(longer)[: MOST_NAMED - len(self._lengths.first)]

    def summarise(self) -> PromptLengths | None:
        """Return the lengths of all rows that were added, or None if a model's are not known."""
        if not self._is_known or not self._lengths.checked:
            return None
        variants = self._variants.values()
        self._lengths.are_alike = any(each.differs for each in variants) and all(e.is_read_alike for e in variants)
        return self._lengths

    def _choose_rows(self, rows: Sequence[ValidRow]) -> list[ValidRow]:
        """Return those of the next *rows* that are counted."""
        chosen = list[ValidRow]()
        for row in rows if self._is_known else ():
            if self._characters >= MOST_CHARACTERS:
                self._lengths.is_whole = False
                break
            self._characters += len(row.prompt)
            chosen.append(row)
        self._lengths.checked += len(chosen)
        return chosen

    def _compare(self, row: ValidRow, read: ReadPrompt) -> None:
        self._variants.setdefault(row.arm, _Variant(row.prompt, read.ids)).compare(row.prompt, read.ids)
