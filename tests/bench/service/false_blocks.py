"""How many harmless pictures the checkers would block: every emoji that has a name and keywords, on white.

Usage: ``python -m tests.bench.service.false_blocks [--checkers open_nsfw,nsfwjs] [--folder FOLDER]``

The emoji come from npm, as for the starter model, and nothing of them is kept in the repository; so do the weights of
nsfwjs, by ``pressroom safety fetch``.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from common.settings import Settings
from common.settings.parsing import split_commas
from tests.bench.outcome import FOLDER, Outcome, Table
from worker.checkers.factory import open_checker
from worker.checkers.interface import Checker
from worker.self_test_image import flatten_alpha
from worker.starter import emoji

EMOJI = Path("var/starter/cpu/npm")
BOUNDS = (0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
WORST = 5


def main(words: list[str] | None = None) -> None:
    """Judge the pictures by each checker and print how many would have been blocked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkers", type=split_commas, default=("open_nsfw",), help="names, as in PRESSROOM_CHECKER")
    parser.add_argument("--folder", type=Path, default=EMOJI, help="where the emoji are, or are fetched to")
    parser.add_argument("--count", type=int, default=None, help="pictures at most")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where results are written")
    options = parser.parse_args(words)
    emoji.fetch_packages(options.folder)
    pictures = dict(list(read_pictures(options.folder))[: options.count])
    scores, seconds = {}, {}
    for name in options.checkers:
        checker = open_checker(Settings(checker=(name,), device="cpu"))
        checker.load()
        scores[name], seconds[name] = judge(checker, pictures)
    table = Table(
        f"{len(pictures)} harmless pictures, and how many reach a score",
        ["checker", *(f"≥ {bound}" for bound in BOUNDS), "ms each"],
        [[name, *count([*found.values()]), f"{1000 * seconds[name]:.0f}"] for name, found in scores.items()],
    )
    worst = {name: sorted(found.items(), key=lambda pair: -pair[1])[:WORST] for name, found in scores.items()}
    notes = [
        f"{name}: {', '.join(f'{what} {score:.2f}' for what, score in highest)}." for name, highest in worst.items()
    ]
    outcome = Outcome(
        name="false_blocks",
        options={"checkers": options.checkers, "count": len(pictures)},
        tables=[table],
        figures={"pictures": len(pictures), "scores": scores, "seconds": seconds},
        notes=notes,
    )
    outcome.write(options.out, lambda path: draw(path, scores))


def read_pictures(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield the emoji that have keywords, flat on white, in the size they come in."""
    for name, found in emoji.read_emoji(folder).items():
        if found.keywords:
            with Image.open(found.path) as picture:
                yield name, flatten_alpha(picture)


def judge(checker: Checker, pictures: dict[str, Image.Image]) -> tuple[dict[str, float], float]:
    """Return the highest score of each picture, and the seconds that one took."""
    begun = time.perf_counter()
    scores = {name: max(checker.check(picture).scores.values()) for name, picture in pictures.items()}
    return scores, (time.perf_counter() - begun) / max(1, len(pictures))


def count(scores: Sequence[float]) -> list[str]:
    """Return how many scores reach each bound."""
    return [str(sum(score >= bound for score in scores)) for bound in BOUNDS]


def draw(path: Path, scores: dict[str, dict[str, float]]) -> None:
    """Draw how many pictures reach each score."""
    import matplotlib as mpl  # noqa: PLC0415  (takes a second to import)

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  (likewise, and after the choice)

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, found in scores.items():
        axes.plot(sorted(found.values(), reverse=True), range(1, len(found) + 1), label=name)
    axes.set(xlabel="score", ylabel="harmless pictures with that score or more", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
