"""Rendering: from a recipient to requests, by the campaign's salt and nothing else."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from common.campaigns.rendering import RecipientLike, RenderingError, build_request, choose_arm, render_prompts
from common.campaigns.spec import CampaignSpec, SeedRule, Template
from common.jobs.request import LARGEST_SEED
from tests.support.campaigns.campaign_fixture import SALT, arm, spec


def to(key: str = "ada", arm_name: str = "main", **values: str) -> RecipientLike:
    found: Any = SimpleNamespace(key=key, fields=values or {"name": "Ada"}, arm=arm_name)
    return found


def seeds(rule: SeedRule, recipient: RecipientLike, count: int = 2, rerolls: int = 0, **changes: Any) -> list[int]:
    chosen = spec(seed_rule=rule, **changes)
    return [build_request(chosen, SALT, recipient, index, rerolls)[0].seed for index in range(count)]


def test_recipients_are_assigned_by_weight_and_always_alike() -> None:
    chosen = spec(arm("a", weight=3), arm("b"))
    drawn = [choose_arm(chosen, SALT, f"key{number}").name for number in range(4000)]
    assert drawn == [choose_arm(chosen, SALT, f"key{number}").name for number in range(4000)]
    assert 2850 < Counter(drawn)["a"] < 3150
    assert drawn != [choose_arm(chosen, b"another", f"key{number}").name for number in range(4000)]


def test_the_prompt_parts_of_a_style_surround_the_template() -> None:
    worn = arm(prefix="watercolour of", suffix=", soft light")
    assert render_prompts(worn, {"name": "Ada"}).prompt == "watercolour of a card for Ada, soft light"


def test_a_prompt_is_cleaned_like_any_other() -> None:
    assert render_prompts(arm(), {"name": "A\nd\u202ea\u0301 "}).prompt == "a card for A d\u00e1"


def test_a_template_without_a_negative_prompt_uses_the_one_of_its_request() -> None:
    own = arm(request=arm().request.model_copy(update={"negative_prompt": "fog"}))
    assert render_prompts(own, {"name": "Ada"}).negative_prompt == "fog"
    said = own.model_copy(update={"template": Template(prompt="x", negative_prompt="rain in {{ city }}")})
    assert render_prompts(said, {"city": "Bergen"}).negative_prompt == "rain in Bergen"


@pytest.mark.parametrize(
    ("prompt", "values", "code", "column"),
    [
        ("a card for {{ name }}", {}, "missing_value", "name"),
        ("a card for {{ name }}", {"name": ""}, "missing_value", "name"),
        ("{{ name }}", {"name": "\u200b"}, "prompt_required", ""),
        ("{{ name }}", {"name": "x" * 2001}, "too_long", ""),
    ],
)
def test_values_that_render_an_invalid_prompt_are_refused(
    prompt: str, values: dict[str, str], code: str, column: str
) -> None:
    with pytest.raises(RenderingError) as refused:
        render_prompts(arm(prompt=prompt), values)
    assert (refused.value.code, refused.value.column) == (code, column)


def test_by_content_equal_requests_share_one_print_across_recipients() -> None:
    chosen = spec()
    assert build_request(chosen, SALT, to("ada"), 0) == build_request(chosen, SALT, to("bob"), 0)
    assert build_request(chosen, SALT, to(), 0) != build_request(chosen, SALT, to(name="Bob"), 0)
    assert build_request(chosen, SALT, to(), 0) != build_request(chosen, b"another", to(), 0)


def test_by_recipient_every_recipient_has_their_own_prints() -> None:
    chosen = spec(seed_rule=SeedRule.RECIPIENT)
    (ada, of_ada), (bob, of_bob) = (build_request(chosen, SALT, to(key), 0) for key in ("ada", "bob"))
    assert (ada.seed != bob.seed, of_ada != of_bob) == (True, True)
    assert seeds(SeedRule.RECIPIENT, to(name="Ada")) == seeds(SeedRule.RECIPIENT, to(name="Ada L."))


def test_a_fixed_seed_counts_up_like_a_jobs() -> None:
    assert seeds(SeedRule.FIXED, to(), seed=LARGEST_SEED) == [LARGEST_SEED, 0]


@pytest.mark.parametrize("rule", SeedRule)
def test_each_image_and_reroll_has_its_own_seed_but_one_digest(rule: SeedRule) -> None:
    drawn = [*seeds(rule, to()), *seeds(rule, to(), rerolls=1), *seeds(rule, to(), rerolls=2)]
    assert len({*drawn}) == len(drawn)
    assert all(0 <= seed <= LARGEST_SEED for seed in drawn)
    chosen = spec(seed_rule=rule)
    assert build_request(chosen, SALT, to(), 0)[1] == build_request(chosen, SALT, to(), 0, 5)[1]
    assert build_request(chosen, SALT, to(), 0)[1] != build_request(chosen, SALT, to(), 1)[1]


def test_an_arm_with_another_palette_makes_other_prints() -> None:
    chosen = spec(arm("a", palette=("#ff0000",)), arm("b"))
    assert build_request(chosen, SALT, to(arm_name="a"), 0)[1] != build_request(chosen, SALT, to(arm_name="b"), 0)[1]


def test_a_spec_is_read_back_as_it_was() -> None:
    chosen = spec(arm(palette=("#ff0000",), style="birthday@3"), palette_floor=0.5)
    assert CampaignSpec.from_row(chosen.model_dump(mode="json")) == chosen
