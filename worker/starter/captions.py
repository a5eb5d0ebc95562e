"""Training captions: the same scene described in many ways, as users would write prompts."""

import random

from worker.starter.dataset import Scene
from worker.starter.subjects import Vocabulary

WHOLE = (
    "{subject} on {colour} background",
    "{subject} on {colour} background",
    "{subject}, {bare} background",
    "{subject} on {bare}",
    "{subject} in front of {colour} background",
    "{colour} background with {subject}",
)
OPENINGS = (
    "",
    "",
    "",
    "",
    "picture of ",
    "a picture of ",
    "an image of ",
    "drawing of ",
    "3d icon of ",
    "cute ",
    "a card with ",
)
ENDINGS = (
    "",
    "",
    "",
    "",
    "",
    ", 3d render",
    ", glossy",
    " for {name}",
    ", for {name}",
    ", happy birthday {name}",
    ", thank you {name}!",
)
# Campaigns write names into prompts. The model need not draw them, but must cope with them.
NAMES = [
    "anna",
    "ben",
    "carla",
    "david",
    "elena",
    "farid",
    "grace",
    "hiro",
    "ines",
    "jack",
    "kofi",
    "lena",
    "maria",
    "noah",
    "olga",
    "peter",
    "quinn",
    "rosa",
    "sam",
    "tara",
    "uma",
    "victor",
    "wei",
    "xenia",
    "yusuf",
    "zoe",
]


def write_subject(name: str, vocabulary: Vocabulary, dice: random.Random) -> str:
    """Name the subject by its own or another name, mostly with an article."""
    others = vocabulary.subjects.get(name, ())
    word = dice.choice(others) if others and dice.random() < 0.4 else name
    return write_article(word, dice)


def write_article(word: str, dice: random.Random) -> str:
    """Put "a" or "an", "the" or nothing before the word."""
    chance = dice.random()
    if chance < 0.6:
        return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
    return f"the {word}" if chance < 0.7 else word


def write_caption(scene: Scene, vocabulary: Vocabulary, dice: random.Random) -> str:
    """Write one caption of the scene."""
    names, colour = scene
    subject = " and ".join(write_subject(name, vocabulary, dice) for name in names)
    article = "an" if colour[0] in "aeiou" else "a"
    plain = " plain" if dice.random() < 0.1 else ""
    with_article = f"a{plain} {colour}" if plain else f"{article} {colour}"
    body = dice.choice(WHOLE).format(subject=subject, colour=with_article, bare=colour)
    caption = dice.choice(OPENINGS) + body + dice.choice(ENDINGS).format(name=dice.choice(NAMES))
    return caption.capitalize() if dice.random() < 0.2 else caption


def build_plain_prompt(subject: str, colour: str) -> str:
    """Return the plain caption for a pair that is used in evaluation."""
    article = "an" if subject[0] in "aeiou" else "a"
    return f"{article} {subject} on {'an' if colour[0] in 'aeiou' else 'a'} {colour} background"
