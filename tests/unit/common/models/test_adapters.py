import json

import pytest

from common.errors import ModelUnavailableError, SettingsError
from common.models import adapters, catalog
from common.models.adapters import TRAINING, read_adapter, read_adapter_directory
from common.models.catalog import PAINTED_CARD, Family
from common.settings import Settings
from tests.support.engine.weights import LAYER, lora, write


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "adapters"
    path.mkdir()
    return path


def read_directory(directory):
    return read_adapter_directory(Settings(adapters=directory))


@pytest.fixture
def make_model(tmp_path):
    def make(name="sd", pipeline="StableDiffusionPipeline", width=768):
        model = tmp_path / name
        (model / "unet").mkdir(parents=True)
        (model / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
        write(model / "unet" / "w.safetensors", {f"{LAYER.removeprefix('unet.')}.weight": (320, width)})
        return model

    return make


def fitting(adapter_directory, model):
    return [card.name for card in adapter_directory.equip(catalog.read_card(model), model).adapters]


def test_without_a_directory_there_are_no_adapters():
    assert read_adapter_directory(Settings()) == adapters.AdapterDirectory()


def test_a_missing_adapter_directory_is_a_wrong_setting(tmp_path):
    with pytest.raises(SettingsError, match="PRESSROOM_ADAPTERS"):
        read_directory(tmp_path / "nowhere")


def test_an_adapter_is_named_after_its_file_and_applied_in_full(directory):
    lora(directory / "ink-1.5_b.safetensors")
    card = read_directory(directory).files["ink-1.5_b"].card
    assert (card.name, card.title, card.default_scale) == ("ink-1.5_b", "ink-1.5_b", 1.0)


def test_a_supplement_adds_what_the_file_lacks(directory):
    lora(directory / "ink.safetensors")
    told = {"title": "Ink", "default_scale": -0.5, "trigger_words": ["inked"], "licence": "CC0-1.0", "base": "sd15"}
    (directory / "ink.json").write_text(json.dumps(told))
    file = read_directory(directory).files["ink"]
    assert (file.card.title, file.card.default_scale, file.card.trigger_words) == ("Ink", -0.5, ["inked"])
    assert (file.card.licence, file.base) == ("CC0-1.0", "sd15")


@pytest.mark.parametrize(
    "supplement", ["{", "[]", '{"colour": 1}', '{"default_scale": 5}', '{"base": 7}', '{"default_scale": NaN}']
)
def test_a_supplement_that_cannot_be_read_is_named(directory, supplement):
    lora(directory / "ink.safetensors")
    (directory / "ink.json").write_text(supplement)
    adapter_directory = read_directory(directory)
    assert not adapter_directory.files
    assert "ink.json" in adapter_directory.faults["ink.safetensors"]


@pytest.mark.parametrize(
    ("stem", "name", "title"),
    [
        ("Add Detail_v1.5", "add-detail_v1.5", "Add Detail_v1.5"),
        ("-x", "x", "-x"),
        ("modèle", "modele", "modèle"),
        ("a" * 65, "a" * 64, "a" * 65),
        ("ink\n", "ink", "ink"),
        ("墨水", "adapter-15b2118e", "墨水"),
        ("Ink [SDXL] (v2)", "ink-sdxl-v2", "Ink [SDXL] (v2)"),
    ],
)
def test_a_file_of_any_name_is_offered_by_a_name_that_requests_can_use(directory, stem, name, title):
    lora(directory / f"{stem}.safetensors")
    (directory / f"{stem}.json").write_text('{"trigger_words": ["inked"]}')
    ((found, file),) = read_directory(directory).files.items()
    assert (found, file.card.name, file.card.title) == (name, name, title)
    assert file.card.trigger_words == ["inked"]


def test_of_two_files_with_one_name_the_one_that_has_it_exactly_keeps_it(directory):
    for stem in ("Ink", "ink", "INK"):
        lora(directory / f"{stem}.safetensors")
    adapter_directory = read_directory(directory)
    assert adapter_directory.files["ink"].path.name == "ink.safetensors"
    assert adapter_directory.faults.keys() == {"Ink.safetensors", "INK.safetensors"}
    assert "rename one of them" in adapter_directory.faults["Ink.safetensors"]


def test_an_ending_that_libraries_do_not_know_is_reported(directory):
    lora(directory / "ink.SAFETENSORS")
    assert "rename it" in read_directory(directory).faults["ink.SAFETENSORS"]


@pytest.mark.parametrize("name", ["ink.pt", "ink.bin", "ink.CKPT", "ink.pkl"])
def test_files_that_can_contain_code_are_reported_and_never_opened(directory, name):
    (directory / name).mkdir()  # which nothing could open
    assert "can contain code" in read_directory(directory).faults[name]


def test_other_files_are_ignored(directory):
    (directory / "README.md").write_text("About these.")
    (directory / "ink.preview.png").write_bytes(b"")
    (directory / "more").mkdir()
    assert read_directory(directory) == adapters.AdapterDirectory()


def test_a_link_out_of_the_directory_is_refused_and_one_inside_is_allowed(directory, tmp_path):
    outside = lora(tmp_path / "outside.safetensors")
    lora(directory / "inside.safetensors")
    (directory / "out.safetensors").symlink_to(outside)
    (directory / "again.safetensors").symlink_to("inside.safetensors")
    (directory / "nowhere.safetensors").symlink_to("missing.safetensors")
    (directory / "loop.safetensors").symlink_to("loop.safetensors")
    (directory / "other.safetensors").symlink_to("inside.json")
    (directory / "inside.json").write_text("{}")
    adapter_directory = read_directory(directory)
    assert adapter_directory.files.keys() == {"inside", "again"}
    assert adapter_directory.faults.keys() == {f"{name}.safetensors" for name in ("out", "nowhere", "loop", "other")}


def test_a_supplement_linked_from_outside_the_directory_is_refused(directory, tmp_path):
    lora(directory / "ink.safetensors")
    (tmp_path / "secret.json").write_text("{}")
    (directory / "ink.json").symlink_to(tmp_path / "secret.json")
    assert "leads out" in read_directory(directory).faults["ink.safetensors"]


def test_a_folder_is_not_an_adapter(directory):
    (directory / "ink.safetensors").mkdir()
    assert "is not a file" in read_directory(directory).faults["ink.safetensors"]


def test_a_damaged_file_is_reported_and_the_others_are_offered(directory):
    lora(directory / "good.safetensors")
    (directory / "pickle.safetensors").write_bytes(b"\x80\x04K\x01.")
    cut = lora(directory / "cut.safetensors")
    cut.write_bytes(cut.read_bytes()[:-1])
    adapter_directory = read_directory(directory)
    assert list(adapter_directory.files) == ["good"]
    assert adapter_directory.faults.keys() == {"pickle.safetensors", "cut.safetensors"}
    assert all("damaged" in fault for fault in adapter_directory.faults.values())


def test_an_oversized_file_is_refused(directory, monkeypatch):
    monkeypatch.setattr(adapters, "LARGEST_FILE", 100)
    lora(directory / "ink.safetensors")
    assert "must not exceed" in read_directory(directory).faults["ink.safetensors"]


@pytest.mark.parametrize(
    "training",
    [{"unet.init_lora_weights": "pissa"}, {"unet.layer_replication": [[0, 1]]}, {"unet.modules_to_save": ["conv_in"]}],
)
def test_training_that_would_change_the_model_itself_is_refused(directory, training):
    path = lora(directory / "ink.safetensors", metadata={TRAINING: json.dumps(training)})
    with pytest.raises(ModelUnavailableError, match="own weights"):
        read_adapter(path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_training_that_cannot_be_read_is_refused(directory, text):
    with pytest.raises(ModelUnavailableError, match="not a JSON object"):
        read_adapter(lora(directory / "ink.safetensors", metadata={TRAINING: text}))


def test_plain_training_is_accepted(directory):
    training = {"unet.init_lora_weights": "gaussian", "unet.r": 2, "unet.layer_replication": None}
    read_adapter(lora(directory / "ink.safetensors", metadata={TRAINING: json.dumps(training), "format": "pt"}))


def test_a_card_lists_the_adapters_whose_layers_its_model_has(directory, make_model):
    lora(directory / "one.safetensors", width=768)
    lora(directory / "two.safetensors", width=1024)
    adapter_directory = read_directory(directory)
    assert fitting(adapter_directory, make_model("v1", width=768)) == ["one"]
    assert fitting(adapter_directory, make_model("v2", width=1024)) == ["two"]
    assert fitting(adapter_directory, make_model("v3", width=640)) == []


@pytest.mark.parametrize(("base", "names"), [("sd15", ["ink"]), ("sd", ["ink"]), ("sdxl", []), ("other", [])])
def test_a_supplement_may_bind_an_adapter_to_a_family_or_a_model(directory, make_model, base, names):
    lora(directory / "ink.safetensors")
    (directory / "ink.json").write_text(json.dumps({"base": base}))
    assert fitting(read_directory(directory), make_model()) == names


def test_unknown_models_take_no_adapters_and_the_painted_model_takes_all(directory, make_model):
    lora(directory / "ink.safetensors")
    adapter_directory = read_directory(directory)
    assert fitting(adapter_directory, make_model(pipeline="PixArtSigmaPipeline")) == []
    assert [card.name for card in adapter_directory.equip(PAINTED_CARD, None).adapters] == ["ink"]


def test_a_damaged_model_has_no_adapters(directory, make_model):
    lora(directory / "ink.safetensors")
    model = make_model()
    (model / "unet" / "w.safetensors").write_bytes(b"")
    assert fitting(read_directory(directory), model) == []


def test_adapters_without_a_matching_model_are_reported_with_their_likely_family(directory, make_model):
    lora(directory / "xl.safetensors", width=2048)
    (directory / "x.pt").write_bytes(b"")
    adapter_directory = read_directory(directory)
    model = make_model()
    left_out = adapter_directory.find_left_out(adapter_directory.equip_all({"sd": (catalog.read_card(model), model)}))
    assert left_out.keys() == {"xl.safetensors", "x.pt"}
    assert "Stable Diffusion XL" in left_out["xl.safetensors"]


def test_every_family_with_a_display_name_has_its_own_steps():
    assert adapters.TITLES.keys() == set(Family) - {Family.OTHER, Family.PAINTED}
