"""Prompt rules: categories of rejected prompts, matched by combinations of whole words.

Word lists are a cheap first refusal, easily evaded; what leaves is held by the check of the pictures.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import SettingsError
from common.safety.template_tags import find_tags
from common.safety.text_folding import fold_text
from common.settings import PREFIX

BUILT_IN_RULES = Path(__file__).with_name("rules.toml")
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
LITERAL = re.compile(r""""([^"]*)"|'([^']*)'""")


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    category: str = Field(pattern=r"^[a-z0-9_]{1,64}$")
    words: list[list[str]] = Field(min_length=1)


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: list[_Rule]


@dataclass(frozen=True)
class Rule:
    """Lists of words and phrases, folded; a text that has one of each is of the category."""

    category: str
    lists: tuple[frozenset[str], ...]

    @cached_property
    def _indexes(self) -> list[dict[str, list[str]]]:
        """Each list by the first words of its entries, of which any text contains only a few."""
        indexes: list[dict[str, list[str]]] = [{} for _ in self.lists]
        for index, entries in zip(indexes, self.lists, strict=True):
            for entry in entries:
                index.setdefault(entry.split()[0], []).append(f" {entry} ")
        return indexes

    def matches(self, folded: str) -> bool:
        """Return whether a folded text is of the category."""
        words, padded = set(folded.split()), f" {folded} "
        return all(
            any(entry in padded for word in words if word in index for entry in index[word]) for index in self._indexes
        )


@dataclass(frozen=True)
class PromptRules:
    """The rules that always hold, and the operator's own beside them."""

    always: tuple[Rule, ...]
    own: tuple[Rule, ...] = ()

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """Read the rules, the operator's from *path*; raise SettingsError for a file that is none of rules."""
        return cls(tuple(_load_rules(BUILT_IN_RULES)), () if path is None else tuple(_load_rules(path)))

    def judge(self, text: str) -> str | None:
        """Return the first category that *text* is of; None for most."""
        return _find_category((*self.always, *self.own), text)

    def judge_always(self, text: str) -> str | None:
        """Return the same by the rules alone that nobody can do without: for texts that hold people's names."""
        return _find_category(self.always, text)

    def judge_template(self, source: str) -> str | None:
        """Return the category of a Liquid template's own words; what its recipients put in is not among them."""
        return self.judge("".join(_list_own_words(source)))


def _find_category(rules: tuple[Rule, ...], text: str) -> str | None:
    folded = fold_text(text)
    return next((rule.category for rule in rules if rule.matches(folded)), None)


def _list_own_words(source: str) -> Iterator[str]:
    at = 0
    for start, end in find_tags(source):
        if end is not None:
            yield f"{source[at:start]} {_extract_literals(source[start:end])} "
            at = end
    yield source[at:]


def _extract_literals(tag: str) -> str:
    return " ".join(first or second for first, second in LITERAL.findall(tag))


def _load_rules(path: Path) -> Iterator[Rule]:
    try:
        found = _Rules.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        reason = "is not a list of rules" if isinstance(error, ValidationError) else f"cannot be read: {error}"
        raise SettingsError(f"{PREFIX}PROMPT_RULES {path} {reason}") from error
    for rule in found.rules:
        lists = tuple(
            frozenset(fold_text(entry) for each in entries for entry in _expand_entry(each)) for entries in rule.words
        )
        if not all(entries and "" not in entries for entries in lists):
            raise SettingsError(f"{PREFIX}PROMPT_RULES {path} has an empty list, or an entry without a word.")
        yield Rule(rule.category, lists)


def _expand_entry(entry: str) -> Iterator[str]:
    found = RANGE.search(entry)
    if found is None:
        yield entry
        return
    for number in range(int(found[1]), int(found[2]) + 1):
        yield from _expand_entry(f"{entry[: found.start()]}{number}{entry[found.end() :]}")
