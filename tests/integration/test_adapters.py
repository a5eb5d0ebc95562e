"""LoRAs over the families, switched between steps, against the stock pipeline with the same LoRAs alone."""

import functools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from common.adapters import TRAINING, Shelf, open_shelf
from common.catalog import read_card
from common.errors import ModelUnavailableError
from common.requests import Adapter, ImageRequest
from common.settings import Settings
from tests import companies, tiny, tiny_adapters
from tests.companies import Guest
from tests.factories import image_request
from worker.engine import loading
from worker.engine.adapters import MOST_LOADED, Adapters
from worker.engine.device import Device
from worker.engine.families.denoising import Denoising, DenoisingFamily
from worker.engine.port import Inputs
from worker.meter import Meter

FAMILIES = ("sd15", "sdxl", "sd3", "flux")
TOLERANCE = 1e-4

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"),
    pytest.mark.filterwarnings("ignore:Already found a `peft_config`"),  # of the stock pipeline, with several adapters
    pytest.mark.timeout(300),
]

Scales = dict[str, float]


@dataclass
class Rig:
    """A tiny model with a shelf of adapters that go with it: ``ink``, ``oil.2`` (which leaves text alone) and more."""

    model: Path
    directory: Path
    meter: Meter = field(default_factory=Meter)

    @functools.cached_property
    def shelf(self) -> Shelf:
        return open_shelf(Settings(adapters=self.directory))

    @functools.cached_property
    def family(self) -> DenoisingFamily:
        card, device = read_card(self.model), Device("cpu")
        return companies.KINDS[card.family](loading.open_pipeline(self.model, device), card, device)

    @functools.cached_property
    def adapters(self) -> Adapters:
        return Adapters(self.family.pipeline, self.family.card, self.shelf, self.meter)

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Denoising]:
        self.adapters.activate(request.adapters)
        return self.family.begin(request, seeds, inputs)

    def step(self, drawings: Sequence[Denoising]) -> None:
        self.adapters.activate(drawings[0].request.adapters)
        self.family.step(drawings)

    def draw(self, scales: Scales) -> torch.Tensor:
        """Return the final latents of one picture."""
        (drawing,) = companies.draw_together(self, [Guest(self.ask(scales))])  # type: ignore[arg-type]  # the same calls
        return drawing.latents

    def ask(self, scales: Scales, **changes: Any) -> ImageRequest:
        laid = tuple(Adapter(name=name, scale=scale) for name, scale in scales.items())
        return image_request(**{"model": self.model.name, "steps": 3, "adapters": laid, **changes})

    def draw_alone(self, request: ImageRequest) -> torch.Tensor:
        """Return what a stock pipeline makes of *request* with its LoRAs loaded and set as diffusers documents it."""
        stock = Rig(self.model, self.directory).family
        for place, adapter in enumerate(request.adapters):
            weights = f"{adapter.name}.safetensors"
            stock.pipeline.load_lora_weights(self.directory, weight_name=weights, adapter_name=f"adapter_{place}")
        if request.adapters:
            names = [f"adapter_{place}" for place in range(len(request.adapters))]
            stock.pipeline.set_adapters(names, [adapter.scale for adapter in request.adapters])
        return companies.draw_alone(stock, request)


@pytest.fixture(scope="module", autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def rigs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rig]:
    torch.set_num_threads(1)  # spinning threads cost such small networks more than they bring

    @functools.cache
    def build(name: str) -> Rig:
        root = tmp_path_factory.mktemp(name)
        model, directory = tiny.save(name, root / name), root / "adapters"
        directory.mkdir()
        tiny_adapters.save(model, directory / "ink.safetensors", seed=1)
        tiny_adapters.save(model, directory / "oil.2.safetensors", seed=2, text=False, alpha=3)
        return Rig(model, directory)

    return build


@pytest.fixture
def sd15(rigs, tmp_path) -> Rig:
    """A rig of its own, to be broken."""
    shared = rigs("sd15")
    return Rig(shared.model, shutil.copytree(shared.directory, tmp_path / "adapters"))


def expect_parity(rig: Rig, guests: Sequence[Guest]) -> None:
    drawings = companies.draw_together(rig, guests)  # type: ignore[arg-type]  # the same calls
    for guest, drawing in zip(guests, drawings, strict=True):
        assert companies.distance(drawing.latents, rig.draw_alone(guest.request)) <= TOLERANCE, guest


def weights_of(pipeline: Any) -> dict[str, torch.Tensor]:
    """Return the model's own weights, without those of adapters."""
    return {
        f"{part}.{name.replace('.base_layer', '')}": weight.detach().clone()
        for part, module in pipeline.components.items()
        if isinstance(module, torch.nn.Module)
        for name, weight in module.named_parameters()
        if "lora_" not in name
    }


def expect_untouched(rig: Rig) -> None:
    fresh, used = weights_of(Rig(rig.model, rig.directory).family.pipeline), weights_of(rig.family.pipeline)
    assert fresh.keys() == used.keys()
    assert all(torch.equal(fresh[name], used[name]) for name in fresh)


@pytest.mark.parametrize("name", FAMILIES)
def test_pictures_of_lanes_with_other_adapters_end_as_in_the_stock_pipeline_alone(rigs, name):
    rig = rigs(name)
    both = {"ink": 0.4, "oil.2": -0.8}
    expect_parity(
        rig,
        [
            Guest(rig.ask({"ink": 1.0}, steps=4, prompt="a red cat")),
            Guest(rig.ask({"ink": 1.0}, seed=2, prompt="hens"), joins=1),
            Guest(rig.ask({})),
            Guest(rig.ask({"ink": 0.5}, seed=3), joins=1),
            Guest(rig.ask({"oil.2": 0.7}, guidance_scale=1.0)),
            Guest(rig.ask(both, seed=4), joins=2),
        ],
    )
    expect_untouched(rig)


@pytest.mark.parametrize("name", FAMILIES)
def test_adapters_leave_no_trace_when_they_are_switched(rigs, name):
    rig = rigs(name)
    first = [rig.draw(scales) for scales in ({}, {"ink": 1.0}, {"oil.2": 1.0}, {"ink": 1.0, "oil.2": 1.0})]
    assert all(not torch.equal(one, other) for place, one in enumerate(first) for other in first[:place])
    for scales, before in (({"ink": 1.0}, 1), ({"oil.2": 1.0}, 2), ({}, 0), ({"oil.2": 1.0, "ink": 1.0}, 3)):
        assert torch.equal(rig.draw(scales), first[before])
    assert torch.equal(rig.draw({"ink": 0.0}), first[0])


def test_kohyas_format_is_read(sd15):
    tiny_adapters.save_kohya(sd15.model, sd15.directory / "kohya.safetensors", seed=3)
    expect_parity(sd15, [Guest(sd15.ask({"kohya": 0.9})), Guest(sd15.ask({"ink": 1.0, "kohya": 0.5}))])


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("sdxl", "lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_q"),
        ("flux", "lora_unet_double_blocks_0_img_attn_proj"),
    ],
)
def test_names_of_a_models_first_release_are_read(rigs, tmp_path, name, layer):
    width = {"sdxl": 2 * tiny.WIDTH, "flux": tiny.WIDTH}[name]
    pair = {f"{layer}.lora_down.weight": torch.ones(2, width), f"{layer}.lora_up.weight": torch.ones(width, 2)}
    save_file(pair, tmp_path / "old.safetensors")
    rig = Rig(rigs(name).model, tmp_path)
    expect_parity(rig, [Guest(rig.ask({"old": 1.0})), Guest(rig.ask({}))])


def test_the_card_of_a_model_lists_the_adapters_that_go_with_it(rigs):
    for name in FAMILIES:
        for other in FAMILIES:
            card = rigs(name).shelf.equip(read_card(rigs(other).model), rigs(other).model)
            assert [adapter.name for adapter in card.adapters] == (["ink", "oil.2"] if name == other else []), other


def test_loading_is_overhead_and_switching_back_takes_nothing(sd15):
    assert not sd15.adapters.is_ready([Adapter(name="ink")])
    sd15.adapters.activate([Adapter(name="ink")])
    overhead = sd15.meter.snapshot()["overhead"]
    assert overhead.keys() == {"load"}
    assert sd15.adapters.is_ready([Adapter(name="ink", scale=0.3)])
    for adapters in ([], [Adapter(name="ink")], [Adapter(name="ink")], [Adapter(name="ink", scale=0.3)]):
        sd15.adapters.activate(adapters)
    assert sd15.meter.snapshot()["overhead"] == overhead


def test_only_so_many_are_kept_and_one_that_left_comes_back_as_it_was(sd15):
    ink = load_file(sd15.directory / "ink.safetensors")
    for number in range(MOST_LOADED):
        save_file(
            {name: weight + number / 100 for name, weight in ink.items()}, sd15.directory / f"{number}.safetensors"
        )
    first = sd15.draw({"ink": 1.0})
    for number in range(MOST_LOADED):
        sd15.draw({f"{number}": 1.0})
    assert not sd15.adapters.is_ready([Adapter(name="ink")])
    assert len(sd15.family.pipeline.unet.peft_config) == MOST_LOADED
    assert torch.equal(sd15.draw({"ink": 1.0}), first)
    expect_untouched(sd15)


def test_numbers_of_an_adapter_are_brought_to_the_models_own(sd15):
    sd15.family.pipeline.to(torch.bfloat16)
    assert sd15.draw({"ink": 1.0}).dtype == torch.bfloat16
    assert not torch.equal(sd15.draw({"ink": 1.0}), sd15.draw({}))


def test_an_adapter_that_is_not_on_offer_is_refused(sd15):
    with pytest.raises(ModelUnavailableError, match="does not offer"):
        sd15.adapters.activate([Adapter(name="../ink")])


def replace_with_another_models(rig, rigs):
    shutil.copy(rigs("sdxl").directory / "oil.2.safetensors", rig.directory / "oil.2.safetensors")


def replace_with_pickle(rig, rigs):
    (rig.directory / "oil.2.safetensors").write_bytes(b"\x80\x04K\x01.")


def replace_with_a_link_that_leads_out(rig, rigs):
    (rig.directory / "oil.2.safetensors").unlink()
    (rig.directory / "oil.2.safetensors").symlink_to(rigs("sd15").directory / "oil.2.safetensors")


def cut_short(rig, rigs):
    path = rig.directory / "oil.2.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def remove(rig, rigs):
    (rig.directory / "oil.2.safetensors").unlink()


def lie_about_its_rank(rig, rigs):
    """Make a file that passes for an adapter of this model and that peft cannot read."""
    path = rig.directory / "oil.2.safetensors"
    training = {"unet.r": 3, "unet.lora_alpha": 3, "unet.target_modules": ["to_q", "to_k", "to_v", "to_out.0"]}
    save_file(load_file(path), path, metadata={TRAINING: json.dumps(training)})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (replace_with_another_models, "does not go with"),
        (replace_with_pickle, "damaged"),
        (replace_with_a_link_that_leads_out, "leads elsewhere"),
        (cut_short, "damaged"),
        (remove, "leads to no file"),
        (lie_about_its_rank, "cannot be laid over"),
    ],
)
def test_a_file_that_was_spoilt_after_the_start_is_refused_and_the_model_goes_on(sd15, rigs, spoil, reason):
    before = [sd15.draw({}), sd15.draw({"ink": 1.0})]
    spoil(sd15, rigs)
    for wanted in ({"oil.2": 1.0}, {"oil.2": 1.0, "ink": 1.0}):
        with pytest.raises(ModelUnavailableError, match=reason):
            sd15.draw(wanted)
        assert torch.equal(sd15.draw({}), before[0])
        assert torch.equal(sd15.draw({"ink": 1.0}), before[1])
    expect_untouched(sd15)


def test_an_adapter_that_would_widen_the_model_is_refused(rigs, tmp_path):
    pair = {
        "transformer.x_embedder.lora_A.weight": torch.ones(2, 32),
        "transformer.x_embedder.lora_B.weight": torch.ones(tiny.WIDTH, 2),
    }
    save_file(pair, tmp_path / "control.safetensors")
    rig = Rig(rigs("flux").model, tmp_path)
    with pytest.raises(ModelUnavailableError, match="x_embedder"):
        rig.draw({"control": 1.0})
    expect_untouched(rig)


def test_a_model_of_a_kind_that_is_not_known_takes_none(rigs, tmp_path):
    model = tiny.save("pixart", tmp_path / "pixart")
    pipeline = loading.open_pipeline(model, Device("cpu"))
    adapters = Adapters(pipeline, read_card(model), rigs("sd3").shelf, Meter())
    adapters.activate([])
    with pytest.raises(ModelUnavailableError, match="take no adapters"):
        adapters.activate([Adapter(name="ink")])
