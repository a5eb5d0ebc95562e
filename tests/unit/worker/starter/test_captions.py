"""Captions of training pictures of the starter model."""

import random

from worker.starter import captions, subjects

VOCABULARY = subjects.read_vocabulary()


def test_the_plain_question_uses_the_right_articles():
    assert captions.build_plain_prompt("owl", "teal") == "an owl on a teal background"
    assert captions.build_plain_prompt("fox", "orange") == "a fox on an orange background"


def test_every_caption_names_the_subject_and_the_background():
    dice = random.Random(1)
    for subject, others in VOCABULARY.subjects.items():
        for colour in VOCABULARY.backgrounds:
            said = captions.write_caption(((subject,), colour), VOCABULARY, dice).lower()
            assert colour in said
            assert any(name in said for name in (subject, *others))


def test_two_subjects_are_both_named_in_order():
    said = captions.write_caption((("fox", "owl"), "navy"), VOCABULARY, random.Random(2)).lower()
    assert said.index("fox") < said.index(" and ") < said.index("owl")


def test_the_same_seed_gives_the_same_caption():
    scene = (("dog face",), "cream")
    first, second = (
        [captions.write_caption(scene, VOCABULARY, random.Random(seed)) for seed in range(20)] for _ in range(2)
    )
    assert first == second
    assert len(set(first)) > 10
