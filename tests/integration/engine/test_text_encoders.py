# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
"""What is counted before a prompt is printed is what the press counts when it prints it."""

import pytest

from common.models import catalog, text_encoders
from common.models.prompt_counter import PromptCounter
from tests.support.factories import image_request

PROMPTS = (
    "",
    "a fox",
    "A Fox, in the SNOW!  (with a red hat)",
    "  Grüße an Zoë: 15 % für 3½ Äpfel — 東京 🦊 <|endoftext|> </s> <pad>",
    "a photograph of a card for a friend , " * 30,
    "x" * 2000,
    "\u0958\u0130 e\u0301 " * 60,
)

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")


def open_family(name, folder):
    from tests.support.engine import tiny_pipelines
    from worker.engine.families import factory
    from worker.torch_device import Device

    directory = tiny_pipelines.save(name, folder / name)
    return factory.open_family(catalog.read_card(directory), directory, Device("cpu"))


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd3", "flux"])
def test_the_same_is_counted_before_and_by_the_press(sqlite_database, tmp_path, name):
    family = open_family(name, tmp_path)
    family.encode(image_request(model=name, prompt=PROMPTS[4]))  # leaves its tokenizers cutting and padding
    with sqlite_database.transaction() as session:
        catalog.register_models(session, [family.card])
        text_encoders.register_encoders(session, {family.card.name: family.list_encoders()})
    read = PromptCounter(sqlite_database).read(family.card.name, PROMPTS)
    pressed = [family.count_tokens(image_request(model=name, prompt=prompt)) for prompt in PROMPTS]
    assert [each.tokens for each in read] == pressed
    assert any(each.dropped for each in pressed)


def test_the_digest_of_a_tokenizer_does_not_depend_on_what_it_was_used_for(tmp_path):
    family = open_family("sd15", tmp_path)
    before = family.list_encoders()
    family.encode(image_request(prompt=PROMPTS[4]))
    assert family.list_encoders() == before


def test_nothing_is_registered_where_a_tokenizer_has_no_form_for_others(tmp_path):
    family = open_family("sdxl", tmp_path)
    family.pipeline.tokenizer_2.split_special_tokens = True
    assert family.list_encoders() == []


def test_nothing_is_registered_for_a_pipeline_that_encodes_prompts_in_its_own_way(tmp_path):
    assert open_family("pixart", tmp_path).list_encoders() == []
