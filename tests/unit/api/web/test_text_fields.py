"""What is kept of a prompt."""

import re

import pytest
from hypothesis import given, strategies

from api.web.validation import PROMPT_PATTERN
from common.jobs import prompt_text


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n", "\u200b\u200d\ufeff", "\u00a0\u3000", "\u3164", "\u2800", "\u202e", "\ufe0f"]
)
def test_a_text_without_visible_characters_is_blank(text: str) -> None:
    assert prompt_text.is_blank(text)


@pytest.mark.parametrize("text", ["a", " . ", "猫", "😀", "\u200bx", "ع"])
def test_a_text_with_a_visible_character_is_not_blank(text: str) -> None:
    assert not prompt_text.is_blank(text)


@given(strategies.text())
def test_a_text_that_is_not_blank_is_not_emptied_by_cleaning(text: str) -> None:
    assert prompt_text.is_blank(text) or prompt_text.clean_text(text)


@given(strategies.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert prompt_text.clean_text(prompt_text.clean_text(text)) == prompt_text.clean_text(text)


@given(strategies.text())
def test_the_documented_pattern_agrees_with_the_check(text: str) -> None:
    matches = re.search(PROMPT_PATTERN, text.removesuffix("\n")) is not None
    assert matches == (not prompt_text.is_blank(text) and "\0" not in text)


def test_direction_overrides_and_controls_are_removed_and_joiners_kept() -> None:
    assert prompt_text.clean_text("a\u202eb\u0007\u2066c\u200d\ufeff") == "abc\u200d"


def test_letters_and_their_accents_are_composed() -> None:
    assert prompt_text.clean_text("e\u0301") == "\u00e9"


def test_line_breaks_become_spaces() -> None:
    assert prompt_text.clean_text(" two\r\n lines\u2028more ") == "two  lines more"
