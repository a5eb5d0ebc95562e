"""What is said of a list whose prompts a model does not read to their end."""

from collections.abc import Sequence

import pytest

from common.campaigns.recipients import prompt_lengths
from common.campaigns.recipients.lists import ListContents
from common.campaigns.recipients.notes import describe_contents
from common.campaigns.recipients.prompt_lengths import LengthCheck, PromptLengths
from common.campaigns.recipients.validation import ValidRow
from common.models.prompt_counter import ReadPrompt
from common.models.prompt_tokens import split_count
from tests.support.campaigns.campaign_fixture import arm, spec

LIMIT = 4
MODEL = "painted"


class WordCounter:
    """Reads the first four words of a prompt, each a token."""

    def read(self, model: str, prompts: Sequence[str]) -> list[ReadPrompt] | None:
        if model != MODEL:
            return None
        words = [prompt.split() for prompt in prompts]
        return [ReadPrompt(split_count(len(each), LIMIT), (tuple(map(hash, each[:LIMIT])),)) for each in words]


def row(number: int, prompt: str, arm_name: str = "main") -> ValidRow:
    return ValidRow(number, str(number), str(number), "{}", arm_name, [], "", prompt)


def check(*rows: ValidRow, arms: Sequence[str] = ("main",), model: str = MODEL) -> PromptLengths | None:
    request = arm().request.model_copy(update={"model": model})
    lengths = LengthCheck(spec(*(arm(name, request=request) for name in arms)), WordCounter())
    lengths.add(rows[:2])
    lengths.add(rows[2:])
    return lengths.summarise()


def describe(lengths: PromptLengths | None) -> list[str]:
    stored = None if lengths is None else lengths.to_row()
    return [*describe_contents(ListContents(["id"], "id", lengths=PromptLengths.from_row(stored)))]


def test_nothing_is_said_of_prompts_that_are_read_whole() -> None:
    assert describe(check(row(1, "a fox"), row(2, "an owl"), row(3, "a red fox here"))) == []


def test_the_first_rows_that_are_too_long_are_named_with_what_is_left_out() -> None:
    lengths = check(row(1, "a fox"), row(2, "a fox in a red hat"), row(4, "one two three four five"))
    (note,) = describe(lengths)
    assert note.startswith("The prompts of 2 rows are longer than the model reads.")
    assert note.endswith("left out at the end: 2 of row 2, 1 of row 4.")
    many = describe(check(*(row(number, f"{number} two three four five") for number in range(1, 9))))
    assert many[0].endswith("1 of row 5, ….")
    assert "8 rows" in many[0]


def test_rows_that_differ_only_behind_what_is_read_are_told_to_be_alike() -> None:
    prompts = [row(number, f"a card for dear {name}") for number, name in enumerate(("Ada", "Ben", "Cy"), 1)]
    assert "All prompts are the same as far as the model reads them" in describe(check(*prompts))[1]
    others = check(*prompts, row(4, "a birthday card for Dan"))
    assert others is not None
    assert not others.are_alike


def test_rows_are_compared_within_their_variant() -> None:
    rows = [row(1, "a card for dear Ada", "a"), row(2, "one cake for dear Ben", "b"), row(3, "a card for dear Cy", "a")]
    lengths = check(*rows, arms=("a", "b"))
    assert lengths is not None
    assert lengths.are_alike


def test_prompts_that_are_the_same_altogether_are_what_was_asked_for() -> None:
    lengths = check(row(1, "a card for dear all"), row(2, "a card for dear all"))
    assert lengths is not None
    assert not lengths.are_alike


def test_nothing_is_said_for_a_model_whose_tokenizer_is_not_known() -> None:
    assert check(row(1, "a fox in a red hat"), model="another") is None
    lengths = LengthCheck(spec(), None)
    lengths.add([row(1, "a fox in a red hat")])
    assert lengths.summarise() is None


def test_only_the_first_rows_of_a_long_list_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_lengths, "MOST_CHARACTERS", 40)
    lengths = check(*(row(number, f"{number} two three four five") for number in range(1, 9)))
    assert lengths is not None
    assert (lengths.checked, lengths.longer, lengths.is_whole) == (2, 2, False)
    assert describe(lengths)[-1] == "This was found in the first 2 rows; those after them were not counted."
