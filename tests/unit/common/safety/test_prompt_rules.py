"""What prompts are refused for, tried with made-up words: the list that ships is read, never spelled out here."""

from pathlib import Path

import pytest

from common.errors import SettingsError
from common.safety.prompt_rules import BUILT_IN_RULES, PromptRules, _load_rules
from common.safety.text_folding import fold_text

OWN = """
[[rules]]
category = "gribble"
words = [["gribble", "wild gribbling", "{3..4} snorks"]]

[[rules]]
category = "frobs_with_moops"
words = [["frob", "frobs"], ["moop", "moops"]]
"""


@pytest.fixture
def rules(tmp_path: Path) -> PromptRules:
    path = tmp_path / "rules.toml"
    path.write_text(OWN)
    return PromptRules.open(path)


@pytest.mark.parametrize(
    "text",
    [
        "a gribble at dusk",
        "A GRIBBLE!",
        "gribble",
        "wild   Gribbling, in oil",
        "ｇｒｉｂｂｌｅ",  # full width
        "gr\u200bibb\u2060le",  # zero width
        "grıbblе",  # a dotless i, and a Cyrillic e
        "ɡríbblè",  # accents, and a script g
        "GRΙΒΒLΕ",  # Greek capitals
        "𝓰𝓻𝓲𝓫𝓫𝓵𝓮",
        "a_gribble-hunt",
        "four of 3 snorks",
        "4 snorks",
    ],
)
def test_a_text_is_judged_as_a_reader_sees_it(rules: PromptRules, text: str) -> None:
    assert rules.judge(text) == "gribble"


@pytest.mark.parametrize(
    "text",
    [
        "gribbles", "a gribbled table", "Moby Dick, the white whale", "Scunthorpe United", "a lighthouse", "", "wild",
        "5 snorks", "gribbling", "Пейзаж с морем", "海辺の灯台", "frob", "moops",
    ],
)  # fmt: skip
def test_rules_match_whole_words_only(rules: PromptRules, text: str) -> None:
    assert rules.judge(text) is None


def test_combined_words_match_apart_and_in_any_order(rules: PromptRules) -> None:
    assert rules.judge("moops, painted by a famous frob") == "frobs_with_moops"
    assert rules.judge("moops, painted by a famous painter") is None


def test_a_template_is_judged_by_its_own_words_and_not_by_its_recipients(rules: PromptRules) -> None:
    assert rules.judge_template("a card for {{ gribble }} {% if gribble == 1 %}and friends{% endif %}") is None
    assert rules.judge_template("a gribble for {{ name }}") == "gribble"
    assert rules.judge_template('a card for {{ name | default: "gribble" }}') == "gribble"
    assert rules.judge_template("{% if name == 'x' %}a gribble{% endif %}") == "gribble"


def test_the_built_in_rules_apply_with_and_without_others(rules: PromptRules) -> None:
    (shipped,) = _load_rules(BUILT_IN_RULES)
    together = " ".join(min(entries) for entries in shipped.lists)
    for each in (rules, PromptRules.open(None)):
        assert each.judge(together) == each.judge_always(together) == shipped.category
        assert all(each.judge(entry) is None for entries in shipped.lists for entry in entries)
    assert rules.judge_always("a gribble") is None


def test_names_pass_the_built_in_rules() -> None:
    rules = PromptRules.open(None)
    for name in ("Moby Dick", "Dick Van Dyke", "Pussy Willow", "Essex", "Kid Rock", "Little Nell", "Minor Tom"):
        assert rules.judge_always(f"a birthday card for {name}") is None


@pytest.mark.parametrize(
    "content",
    ["rules = 1", "[[rules]]\ncategory = 'A B'\nwords = [['x']]", "[[rules]]\ncategory = 'a'\nwords = []", "not toml",
     "[[rules]]\ncategory = 'a'\nwords = [[]]", "[[rules]]\ncategory = 'a'\nwords = [['!']]", "\ufffe"],
)  # fmt: skip
def test_a_file_that_contains_no_rules_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match="PROMPT_RULES"):
        PromptRules.open(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        PromptRules.open(tmp_path / "missing.toml")


def test_folding_keeps_characters_without_lookalikes() -> None:
    assert fold_text("Ein Fuchs — im Schnee, 2 m tief!") == "ein fuchs im schnee 2 m tief"
