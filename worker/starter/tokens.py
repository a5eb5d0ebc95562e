"""The tokenizer: byte pairs learned from our captions (Sennrich et al. 2015), in CLIPTokenizer's two files."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer

END = "</w>"
START_OF_TEXT, END_OF_TEXT = "<|startoftext|>", "<|endoftext|>"
Merge = tuple[str, str]


def build_byte_letters() -> dict[int, str]:
    """Return one printable letter for each of the 256 bytes, in the order of GPT-2, which CLIP took over."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def count_words(captions: Iterable[str]) -> Counter[tuple[str, ...]]:
    """Count each word, as a tuple of letters; the last one carries the end mark."""
    letters = build_byte_letters()
    words: Counter[tuple[str, ...]] = Counter()
    for caption in captions:
        for word in re.findall(r"[^\W\d_]+|\d|(?:[^\w\s]|_)+", caption.lower()):
            spelled = [letters[byte] for byte in word.encode()]
            words[(*spelled[:-1], spelled[-1] + END)] += 1
    return words


def learn_merges(words: Counter[tuple[str, ...]], most: int) -> list[Merge]:
    """Repeatedly join the most common pair of neighbours, until every word is one token or the limit is reached."""
    merges: list[Merge] = []
    spelled = dict(words)
    while len(merges) < most:
        pairs: Counter[Merge] = Counter()
        for parts, count in spelled.items():
            for pair in pairwise(parts):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = {merge_pair(parts, best): count for parts, count in spelled.items()}
    return merges


def merge_pair(parts: tuple[str, ...], pair: Merge) -> tuple[str, ...]:
    """Join every occurrence of the pair into one part."""
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def write_tokenizer(folder: Path, captions: Iterable[str], most: int = 2000) -> None:
    """Learn from the captions and write vocab.json and merges.txt."""
    merges = learn_merges(count_words(captions), most)
    letters = build_byte_letters().values()
    entries = [*letters, *(letter + END for letter in letters), *(a + b for a, b in merges), START_OF_TEXT, END_OF_TEXT]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {entry: place for place, entry in enumerate(dict.fromkeys(entries))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")


def load_tokenizer(folder: Path, length: int) -> CLIPTokenizer:
    """Load the tokenizer of a folder, which cuts and pads to the given number of tokens."""
    return CLIPTokenizer.from_pretrained(folder, model_max_length=length, pad_token=END_OF_TEXT)
