"""What the starter model is to know: subjects, backgrounds, and the pairs kept from training."""

import random
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
    return Vocabulary(subjects, backgrounds, hold_out(list(subjects), list(backgrounds)))


def add_subjects(vocabulary: Vocabulary, names: list[str]) -> Vocabulary:
    """Add subjects that have one name each; a name that is in use already keeps its meaning."""
    used = {name for subject, others in vocabulary.subjects.items() for name in (subject, *others)}
    return replace(vocabulary, subjects=vocabulary.subjects | {name: () for name in names if name not in used})


def hold_out(subjects: list[str], backgrounds: list[str], seed: int = 3) -> tuple[Pair, ...]:
    """Choose one background for each subject, all about equally often: asked for only when the model is judged."""
    deck = [backgrounds[place % len(backgrounds)] for place in range(len(subjects))]
    random.Random(seed).shuffle(deck)
    return tuple(zip(subjects, deck, strict=True))
