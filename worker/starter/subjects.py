"""The starter model's subjects and backgrounds, and the pairs held out from training."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

Colour = tuple[int, int, int]
Pair = tuple[str, str]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Vocabulary:
    """Subjects (name to other names), backgrounds (name to sRGB colour), and the pairs that training must not see."""

    subjects: dict[str, tuple[str, ...]]
    backgrounds: dict[str, Colour]
    held_out: tuple[Pair, ...] = ()


def read_vocabulary(path: Path = HERE / "subjects.txt") -> Vocabulary:
    """Read `name r g b` lines under [backgrounds] and `name | other name | ...` lines under [subjects]."""
    subjects: dict[str, tuple[str, ...]] = {}
    backgrounds: dict[str, Colour] = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("["):
            section = text
        elif text and section == "[backgrounds]":
            name, red, green, blue = text.split()
            backgrounds[name] = (int(red), int(green), int(blue))
        elif text:
            name, *others = (part.strip() for part in text.split("|"))
            subjects[name] = tuple(others)
    return Vocabulary(subjects, backgrounds, choose_held_out_pairs(list(subjects), list(backgrounds)))


def add_subjects(vocabulary: Vocabulary, keywords: dict[str, tuple[str, ...]]) -> Vocabulary:
    """Add subjects, with those keywords as other names that are unambiguous; a name in use keeps its meaning."""
    used = {*vocabulary.backgrounds, *(name for item in vocabulary.subjects.items() for name in (item[0], *item[1]))}
    counts = Counter(word for words in keywords.values() for word in words)
    added = {}
    for subject, words in keywords.items():
        if subject not in used:
            free = (word for word in words if counts[word] == 1 and word not in used and word not in keywords)
            added[subject] = tuple(word for word in free if word.replace(" ", "").isalpha())
    return replace(vocabulary, subjects=vocabulary.subjects | added)


def choose_held_out_pairs(subjects: list[str], backgrounds: list[str], seed: int = 3) -> tuple[Pair, ...]:
    """Choose one background for each subject, all about equally often; these pairs appear only in evaluation."""
    deck = [backgrounds[place % len(backgrounds)] for place in range(len(subjects))]
    random.Random(seed).shuffle(deck)
    return tuple(zip(subjects, deck, strict=True))
