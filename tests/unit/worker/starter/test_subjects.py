"""The starter model's vocabulary, and the pairs that training must not see."""

import random
from collections import Counter

import pytest

from worker.starter import dataset, recipe, subjects

VOCABULARY = subjects.read_vocabulary()


def test_there_are_96_subjects_and_14_backgrounds():
    assert (len(VOCABULARY.subjects), len(VOCABULARY.backgrounds)) == (96, 14)


def test_no_name_means_two_subjects():
    names = [name for subject, others in VOCABULARY.subjects.items() for name in (subject, *others)]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_one_pair_is_held_out_for_each_subject_and_every_background_is_asked_for():
    assert [subject for subject, _ in VOCABULARY.held_out] == list(VOCABULARY.subjects)
    assert set(Counter(colour for _, colour in VOCABULARY.held_out).values()) == {6, 7}


def test_the_same_pairs_are_held_out_every_time():
    assert subjects.read_vocabulary().held_out == VOCABULARY.held_out
    assert VOCABULARY.held_out[:2] == (("fox", "red"), ("wolf", VOCABULARY.held_out[1][1]))


@pytest.mark.parametrize("name", sorted(recipe.RECIPES))
def test_no_scene_of_any_recipe_shows_a_held_out_pair(name):
    chosen = recipe.RECIPES[name]
    vocabulary = subjects.add_subjects(VOCABULARY, {"anchor": (), "teapot": ()}) if chosen.all_emoji else VOCABULARY
    scenes = dataset.draw_scenes(vocabulary, chosen, random.Random(1))
    shown = {(subject, colour) for names, colour in scenes for subject in names}
    assert shown.isdisjoint(vocabulary.held_out)
    assert {subject for subject, _ in shown} == set(vocabulary.subjects)


def test_further_subjects_take_no_name_that_is_in_use_and_no_word_that_means_two():
    found = {"dog": ("pet",), "fox": (), "anchor": ("ship", "sea", "teal"), "ferry": ("ship", "dog")}
    more = subjects.add_subjects(VOCABULARY, found)
    assert {name: more.subjects[name] for name in set(more.subjects) - set(VOCABULARY.subjects)} == {
        "anchor": ("sea",),
        "ferry": (),
    }
    assert more.held_out == VOCABULARY.held_out
