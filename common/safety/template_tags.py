"""Finds the tags of a Liquid template in one pass, however it is spelled: ``{{ … }}`` and ``{% … %}``."""

import re
from collections.abc import Iterator
from typing import NamedTuple

OPENING = re.compile(r"\{[{%]")
CLOSING = {"{{": "}}", "{%": "%}"}


class TagSpan(NamedTuple):
    """Where a tag begins, and where it ends: None if it is never closed."""

    start: int
    end: int | None


def find_tags(source: str) -> Iterator[TagSpan]:
    """Yield the tags of *source* in order; as in Liquid, a tag ends at the first ``}}`` or ``%}`` that closes it."""
    found, absent = OPENING.search(source), set[str]()
    while found is not None:
        closing = CLOSING[found.group()]
        end = -1 if closing in absent else source.find(closing, found.end())
        if end < 0:
            absent.add(closing)  # it will not be found for a later tag either
            yield TagSpan(found.start(), None)
            found = OPENING.search(source, found.start() + 1)
        else:
            end += len(closing)
            yield TagSpan(found.start(), end)
            found = OPENING.search(source, end)
