"""LoRAs over the families, switched between steps, against the stock pipeline with the same LoRAs alone."""
# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)

import functools
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
from PIL import ImageChops

from common.errors import ModelUnavailableError
from common.jobs.request import Adapter
from common.models.catalog import read_card
from common.settings import Settings
from worker.engine.factory import open_engine
from worker.engine.interface import NullObserver, Picture

FAMILIES = ("sd15", "sdxl", "sd3", "flux")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`"),  # of the stock pipeline, with several adapters
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def adapted_models() -> ModuleType:
    from tests.support.engine import adapted_models

    return adapted_models


@pytest.fixture(scope="module")
def open_model(adapted_models, tmp_path_factory):
    """Open a tiny model by name, once; each has the adapters ``ink`` and ``oil.2`` (without text encoder layers)."""
    return functools.cache(lambda name: adapted_models.open_adapted_model(name, tmp_path_factory.mktemp(name)))


@pytest.fixture
def sd15(adapted_models, open_model, tmp_path):
    """A model with its own copy of the adapters, to be damaged."""
    shared = open_model("sd15")
    return adapted_models.AdaptedModel(shared.model, shutil.copytree(shared.directory, tmp_path / "adapters"))


def distance(one: Picture, other: Picture) -> int:
    """Return the largest difference of two pictures, in levels of 255."""
    return max(most for _, most in ImageChops.difference(one.pixels, other.pixels).getextrema())


def laid(name: str, scale: float = 1.0) -> Adapter:
    return Adapter(name=name, scale=scale)


@pytest.mark.parametrize("name", FAMILIES)
def test_batched_images_with_adapters_match_the_stock_pipeline(adapted_models, open_model, name):
    adapted = open_model(name)
    adapted_models.expect_parity(
        adapted,
        [
            adapted_models.BatchMember(adapted.ask({"ink": 1.0}, steps=4, prompt="a red cat")),
            adapted_models.BatchMember(adapted.ask({"ink": 1.0}, seed=2, prompt="hens"), joins=1),
            adapted_models.BatchMember(adapted.ask({})),
            adapted_models.BatchMember(adapted.ask({"ink": 0.5}, seed=3), joins=1),
            adapted_models.BatchMember(adapted.ask({"oil.2": 0.7}, guidance_scale=1.0)),
            adapted_models.BatchMember(adapted.ask({"ink": 0.4, "oil.2": -0.8}, seed=4), joins=2),
        ],
    )
    adapted_models.expect_untouched(adapted)


@pytest.mark.parametrize("name", FAMILIES)
def test_adapters_leave_no_trace_when_they_are_switched(open_model, name):
    adapted = open_model(name)
    sets = [{}, {"ink": 1.0}, {"oil.2": 1.0}, {"ink": 1.0, "oil.2": 1.0}]
    first = [adapted.draw(scales) for scales in sets]
    assert not any(one.equal(other) for place, one in enumerate(first) for other in first[:place])
    for again in (1, 2, 0, 3, 1):
        assert adapted.draw(dict(reversed(sets[again].items()))).equal(first[again])
    assert adapted.draw({"ink": 0.0}).equal(first[0])


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_kohyas_format_is_read(adapted_models, open_model, tmp_path, name):
    adapted = adapted_models.AdaptedModel(
        open_model(name).model, shutil.copytree(open_model(name).directory, tmp_path / "adapters")
    )
    adapted_models.tiny_adapters.save_kohya(adapted.model, adapted.directory / "kohya.safetensors", seed=3)
    wanted = [{"kohya": 0.9}, {"ink": 1.0, "kohya": 0.5}]
    adapted_models.expect_parity(adapted, [adapted_models.BatchMember(adapted.ask(scales)) for scales in wanted])


@pytest.mark.parametrize(
    ("name", "layer", "width"),
    [
        ("sdxl", "lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_q", 64),
        ("sdxl", "lora_unet_middle_block_1_proj_in", 64),
        ("sdxl", "lora_unet_output_blocks_0_1_proj_out", 64),
        ("flux", "lora_unet_double_blocks_0_img_attn_proj", 32),
    ],
)
def test_layer_names_of_a_models_first_release_are_read(adapted_models, open_model, tmp_path, name, layer, width):
    adapted_models.tiny_adapters.save_layer(
        tmp_path / "old.safetensors", layer, width, width, ends=("lora_down", "lora_up")
    )
    adapted = adapted_models.AdaptedModel(open_model(name).model, tmp_path)
    adapted_models.expect_parity(
        adapted, [adapted_models.BatchMember(adapted.ask({"old": 1.0})), adapted_models.BatchMember(adapted.ask({}))]
    )
    assert not adapted.draw({"old": 1.0}).equal(adapted.draw({}))


def test_the_card_of_a_model_lists_its_compatible_adapters(open_model):
    for name in FAMILIES:
        for other in FAMILIES:
            card = open_model(name).adapter_directory.equip(read_card(open_model(other).model), open_model(other).model)
            assert [adapter.name for adapter in card.adapters] == (["ink", "oil.2"] if name == other else []), other


def test_loading_is_booked_as_overhead_and_switching_back_is_free(sd15):
    assert not sd15.adapters.is_ready([laid("ink")])
    sd15.adapters.activate([laid("ink")])
    overhead = sd15.meter.snapshot()["overhead"]
    assert overhead.keys() == {"load"}
    assert sd15.adapters.is_ready([laid("ink", 0.3)])
    for adapters in ([], [laid("ink")], [laid("ink")], [laid("ink", 0.3)]):
        sd15.adapters.activate(adapters)
    assert sd15.meter.snapshot()["overhead"] == overhead


def test_loaded_adapters_are_limited_and_an_evicted_one_reloads_unchanged(adapted_models, sd15):
    from worker.engine.torch_backend.adapters import MOST_LOADED

    for number in range(MOST_LOADED):
        adapted_models.tiny_adapters.save(sd15.model, sd15.directory / f"{number}.safetensors", seed=number)
    first = sd15.draw({"ink": 1.0})
    for number in range(MOST_LOADED):
        sd15.draw({f"{number}": 1.0})
    assert not sd15.adapters.is_ready([laid("ink")])
    assert len(sd15.family.pipeline.unet.peft_config) == MOST_LOADED
    assert sd15.draw({"ink": 1.0}).equal(first)
    adapted_models.expect_untouched(sd15)


def test_an_adapter_is_cast_to_the_number_format_of_its_model(adapted_models, sd15):
    sd15.family.pipeline.to(adapted_models.torch.bfloat16)
    picture = sd15.draw({"ink": 1.0})
    assert picture.dtype == adapted_models.torch.bfloat16
    assert not picture.equal(sd15.draw({}))


def test_an_unknown_adapter_is_refused(sd15):
    with pytest.raises(ModelUnavailableError, match="does not offer"):
        sd15.adapters.activate([laid("../ink")])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("replace_with_another_models", "does not fit"),
        ("replace_with_pickle", "damaged"),
        ("replace_with_a_link_that_leads_out", "leads out"),
        ("cut_short", "damaged"),
        ("remove", "is a broken link"),
        ("lie_about_its_rank", "cannot be applied to"),
    ],
)
def test_a_file_damaged_after_start_up_is_refused_and_the_model_goes_on(
    adapted_models, sd15, open_model, spoil, reason
):
    before = [sd15.draw({}), sd15.draw({"ink": 1.0})]
    getattr(adapted_models, spoil)(sd15.adapter_directory.files["oil.2"].path, open_model("sdxl").directory)
    for wanted in ({"oil.2": 1.0}, {"oil.2": 1.0, "ink": 1.0}):
        with pytest.raises(ModelUnavailableError, match=reason):
            sd15.draw(wanted)
        assert sd15.draw({}).equal(before[0])
        assert sd15.draw({"ink": 1.0}).equal(before[1])
    adapted_models.expect_untouched(sd15)


def test_an_adapter_that_would_widen_the_model_is_refused(adapted_models, open_model, tmp_path):
    adapted_models.tiny_adapters.save_layer(tmp_path / "control.safetensors", "transformer.x_embedder", 32, 32)
    adapted = adapted_models.AdaptedModel(open_model("flux").model, tmp_path)
    with pytest.raises(ModelUnavailableError, match="x_embedder"):
        adapted.draw({"control": 1.0})
    adapted_models.expect_untouched(adapted)


def test_a_model_of_an_unknown_kind_supports_no_adapters(adapted_models, open_model, tmp_path):
    adapters = adapted_models.open_unknown_model(tmp_path / "pixart", open_model("sd3").adapter_directory)
    adapters.activate([])
    with pytest.raises(ModelUnavailableError, match="do not support adapters"):
        adapters.activate([laid("ink")])


def test_the_engine_prints_lanes_with_different_adapters_side_by_side(adapted_models, sd15):
    """And a job whose adapter cannot be had ends alone."""
    (sd15.directory / "oil.2.safetensors").write_bytes(b"")
    engine = open_engine(Settings(models=(str(sd15.model),), device="cpu"), sd15.meter, sd15.adapter_directory)
    engine.load()
    sets = [{}, {"ink": 1.0}, {"ink": -1.0}, {"ink": 1.0}]
    alone = [engine.generate(sd15.ask(scales), NullObserver())[0] for scales in sets]
    with ThreadPoolExecutor(len(sets) + 1) as threads:
        bad = threads.submit(engine.generate, sd15.ask({"oil.2": 1.0}), NullObserver())
        together = list(threads.map(lambda scales: engine.generate(sd15.ask(scales), NullObserver())[0], sets))
        with pytest.raises(ModelUnavailableError, match="does not offer the adapter"):
            bad.result()
    engine.close()
    assert all(distance(*pair) <= 2 for pair in zip(alone, together, strict=True))
    assert all(distance(one, other) > 2 for one, other in ((alone[0], alone[1]), (alone[1], alone[2])))
