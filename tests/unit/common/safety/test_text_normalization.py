"""Unicode normalization that no stack of marks slows down."""

import unicodedata

import pytest
from hypothesis import given, strategies

from common.safety.text_normalization import LONGEST_STACK, normalize_text

FORMS = ("NFC", "NFKC", "NFKD")


@given(strategies.text(max_size=LONGEST_STACK), strategies.sampled_from(FORMS))
def test_texts_are_normalized_as_unicode_says(text, form):
    assert normalize_text(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mark", ["\u0301", "\u0301\u0323", "\u0f73", "\uff9e"], ids=ascii)
def test_marks_beyond_the_limit_are_left_out(form, mark):
    stacked = normalize_text(form, f"a{mark * 1000}b")
    assert stacked.endswith("b")
    assert len(stacked) <= 3 * LONGEST_STACK
    assert normalize_text(form, f"a{mark * LONGEST_STACK}") in (
        stacked[:-1],
        unicodedata.normalize(form, f"a{mark * LONGEST_STACK}"),
    )
