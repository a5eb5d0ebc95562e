"""The starter model's tokenizer spells what it has not learned, and knows as one token what it has."""

import pytest

from worker.starter import tokens

CAPTIONS = ["a fox on a red background", "a piñata on a red background", "flag: Côte d’Ivoire, 2 red_foxes!"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokens.write_tokenizer(folder, CAPTIONS)
    return tokens.load_tokenizer(folder, 24)


def test_learned_words_are_one_token_each_whatever_their_letters(tokenizer):
    assert len(tokenizer("A piñata on a RED background").input_ids) == 2 + 6


@pytest.mark.parametrize("text", ["zebra", "žlutý kůň", "狐", "🦊", "a\tb"])
def test_unknown_words_are_spelled_and_never_lost(tokenizer, text):
    spelled = tokenizer(text).input_ids
    assert len(spelled) > 3 or text == "a\tb"
    assert tokenizer.decode(spelled, skip_special_tokens=True).replace(" ", "") == "".join(text.split())


def test_captions_are_cut_and_padded_to_one_length(tokenizer):
    for text in ("", "fox " * 99):
        padded = tokenizer(text, padding="max_length", truncation=True).input_ids
        assert len(padded) == 24
        assert padded[-1] == tokenizer.eos_token_id
