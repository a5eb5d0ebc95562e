import json

import pytest

from common.errors import ModelUnavailableError, SettingsError
from common.jobs.request import Mode, SchedulerName
from common.models import catalog
from common.models.catalog import Family
from common.settings import Settings


@pytest.fixture
def make(tmp_path):
    def build(name="my-model", pipeline="StableDiffusionPipeline", supplement=None):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
        if supplement is not None:
            (directory / "pressroom.json").write_text(json.dumps(supplement))
        return directory

    return build


@pytest.mark.parametrize(
    ("pipeline", "family", "size", "steps", "guidance"),
    [
        ("StableDiffusionPipeline", Family.SD15, 512, 25, 7.5),
        ("StableDiffusionXLPipeline", Family.SDXL, 1024, 30, 5.0),
        ("StableDiffusion3Pipeline", Family.SD3, 1024, 28, 4.5),
        ("FluxPipeline", Family.FLUX, 1024, 28, 3.5),
        ("PixArtSigmaPipeline", Family.OTHER, 1024, 28, 5.0),
    ],
)
def test_a_directory_without_a_supplement_gets_the_defaults_of_its_family(
    make, pipeline, family, size, steps, guidance
):
    card = catalog.read_card(make(pipeline=pipeline))
    assert (card.family, card.default_width, card.default_height) == (family, size, size)
    assert (card.default_steps, card.default_guidance_scale) == (steps, guidance)
    assert card.batching is (family is not Family.OTHER)


@pytest.mark.parametrize(
    ("pipeline", "modes"),
    [
        ("StableDiffusionPipeline", list(Mode)),
        ("StableDiffusionXLPipeline", list(Mode)),
        ("StableDiffusionInpaintPipeline", [Mode.INPAINT]),
        ("StableDiffusionXLInpaintPipeline", [Mode.INPAINT]),
        ("StableDiffusion3Pipeline", [Mode.TEXT]),
        ("FluxPipeline", [Mode.TEXT]),
        ("PixArtSigmaPipeline", [Mode.TEXT]),
    ],
)
def test_a_card_lists_the_input_images_that_its_model_supports(make, pipeline, modes):
    assert catalog.read_card(make(pipeline=pipeline)).modes == modes


def test_a_model_is_named_after_its_directory_in_lower_case(make):
    assert catalog.read_card(make("SD-1.5_base")).name == "sd-1.5_base"


@pytest.mark.parametrize(
    ("directory", "name"), [("My Model", "my-model"), ("-x", "x"), ("modèle", "modele"), ("a" * 65, "a" * 64)]
)
def test_what_a_name_may_not_contain_is_replaced_and_stays_in_the_title(make, directory, name):
    card = catalog.read_card(make(directory))
    assert (card.name, card.title) == (name, directory)


@pytest.mark.parametrize(
    ("name", "index", "steps", "guidance"),
    [
        ("z-image-turbo", {}, 8, 0.0),
        ("Krea-2", {"is_distilled": True}, 8, 0.0),
        ("flux.2-klein-4b", {"is_distilled": True}, 4, 0.0),
        ("flux.2-klein-base-4b", {"is_distilled": False}, 28, 5.0),
        ("turbocharged", {}, 28, 5.0),
    ],
)
def test_a_distilled_model_takes_few_steps_without_guidance(make, name, index, steps, guidance):
    directory = make(name, pipeline="ZImagePipeline")
    (directory / "model_index.json").write_text(json.dumps({"_class_name": "ZImagePipeline", **index}))
    card = catalog.read_card(directory)
    assert (card.default_steps, card.default_guidance_scale) == (steps, guidance)


def test_a_pipeline_made_for_few_steps_keeps_its_own(make):
    card = catalog.read_card(make("sana-sprint", "SanaSprintPipeline"), {"default_steps": 2})
    assert (card.default_steps, card.default_guidance_scale) == (2, 5.0)


def test_what_the_pipeline_tells_replaces_the_family_and_the_supplement_replaces_both(make):
    card = catalog.read_card(make(supplement={"default_steps": 5}), {"default_steps": 9, "default_width": 768})
    assert (card.default_steps, card.default_width, card.default_height) == (5, 768, 512)


def test_a_directory_without_a_model_is_listed_with_its_fault_and_the_others_are_offered(make, tmp_path):
    settings = Settings(models=(str(tmp_path / "No Such"), str(make("good"))))
    offered = catalog.load_offered_models(settings)
    assert list(offered) == ["no-such", "good"]
    assert offered["no-such"][0].fault == "no-such is not a diffusers model: it has no model_index.json."
    assert offered["good"][0].fault is None


def test_a_supplement_cannot_declare_a_fault(make):
    assert catalog.read_card(make(supplement={"fault": "mine"})).fault is None


def test_a_supplement_adds_what_the_directory_lacks(make):
    supplement = {"title": "Starter", "default_width": 128, "default_height": 128, "min_size": 64, "max_size": 256}
    card = catalog.read_card(make(supplement=supplement))
    assert (card.title, card.default_width, card.max_size, card.default_steps) == ("Starter", 128, 256, 25)


@pytest.mark.parametrize("supplement", [{"colour": 1}, {"default_steps": 0}, {"default_steps": "many"}, []])
def test_a_supplement_that_cannot_be_read_is_named(make, supplement):
    with pytest.raises(ModelUnavailableError, match=r"pressroom\.json"):
        catalog.read_card(make(supplement=supplement))


@pytest.mark.parametrize("index", ["{", "[]", "{}", '{"_class_name": ["x", "Y"]}'])
def test_an_index_that_names_no_pipeline_is_refused(tmp_path, index):
    (tmp_path / "model_index.json").write_text(index)
    with pytest.raises(ModelUnavailableError, match=r"model_index\.json"):
        catalog.read_card(tmp_path)


def test_a_missing_directory_is_not_a_model(tmp_path):
    with pytest.raises(ModelUnavailableError, match="not a diffusers model"):
        catalog.read_card(tmp_path / "nowhere")


def test_the_models_are_offered_in_order_the_default_first(make):
    settings = Settings(models=(str(make("one")), str(make("two"))), default_model="two")
    assert list(catalog.load_offered_models(settings)) == ["two", "one"]


def test_the_painted_model_is_offered_by_its_name_and_alone(make):
    assert catalog.load_offered_models(Settings(models=("painted",))) == {"painted": (catalog.PAINTED_CARD, None)}
    with pytest.raises(SettingsError, match="must not combine"):
        catalog.load_offered_models(Settings(models=("painted", str(make()))))


def test_two_models_of_one_name_are_refused(make, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    twin = make("elsewhere/twin")
    with pytest.raises(SettingsError, match="two models named 'twin'"):
        catalog.load_offered_models(Settings(models=(str(make("twin")), str(twin))))


def test_a_directory_cannot_take_the_name_of_the_painted_model(make):
    with pytest.raises(SettingsError, match="rename"):
        catalog.load_offered_models(Settings(models=(str(make("painted")),)))


def test_a_default_that_is_not_offered_is_refused(make):
    with pytest.raises(SettingsError, match="my-model"):
        catalog.load_offered_models(Settings(models=(str(make()),), default_model="other"))


def test_flow_matching_models_offer_only_the_samplers_they_support(make):
    assert catalog.read_card(make(pipeline="FluxPipeline")).schedulers == [SchedulerName.EULER]
