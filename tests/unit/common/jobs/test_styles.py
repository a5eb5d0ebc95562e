import pytest

from common.jobs.styles import StyleSpec


@pytest.mark.parametrize(
    ("prefix", "suffix", "expected"),
    [
        ("", "", "a fox"),
        ("a watercolour of", "", "a watercolour of a fox"),
        ("", "on a red background", "a fox on a red background"),
        ("a watercolour of", ", soft light", "a watercolour of a fox, soft light"),
    ],
)
def test_the_prompt_parts_of_a_style_surround_the_prompt(prefix, suffix, expected):
    assert StyleSpec(prompt_prefix=prefix, prompt_suffix=suffix).wrap("a fox") == expected


def test_a_spec_is_read_back_as_it_was_kept():
    spec = StyleSpec(prompt_prefix="a drawing of", guidance_scale=0, palette=("#ff0000",))
    assert StyleSpec.from_row(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize("prefix", ["", "a watercolour of"])
@pytest.mark.parametrize("suffix", ["", "on a red background", ", soft light"])
def test_the_prompt_parts_of_a_style_are_taken_off_again(prefix, suffix):
    spec = StyleSpec(prompt_prefix=prefix, prompt_suffix=suffix)
    assert spec.unwrap(spec.wrap("a fox")) == "a fox"
    if prefix or suffix:
        assert spec.unwrap("a fox") is None
        assert spec.unwrap(spec.wrap("")) is None
