"""A tiny model with adapters over it, drawn from as the engine does, and the stock pipeline with the same adapters.

Imports torch.
"""

import functools
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from common.jobs.request import Adapter, ImageRequest
from common.models.adapters import TRAINING, AdapterDirectory, read_adapter_directory
from common.models.catalog import read_card
from common.settings import Settings
from tests.support.engine import mixed_batches, tiny_adapters, tiny_pipelines
from tests.support.engine.mixed_batches import BatchMember
from tests.support.factories import image_request
from worker.engine.families.denoising import Denoising, DenoisingFamily
from worker.engine.interface import Inputs
from worker.engine.torch_backend import load_pipeline
from worker.engine.torch_backend.adapters import PipelineAdapters
from worker.metering.meter import Meter
from worker.torch_device import Device

TOLERANCE = 1e-4

Scales = dict[str, float]


@dataclass
class AdaptedModel:
    """A tiny model with a directory of compatible adapters; ``begin`` and ``step`` do as the engine's loop does."""

    model: Path
    directory: Path
    meter: Meter = field(default_factory=Meter)

    @functools.cached_property
    def adapter_directory(self) -> AdapterDirectory:
        return read_adapter_directory(Settings(adapters=self.directory))

    @functools.cached_property
    def family(self) -> DenoisingFamily:
        card, device = read_card(self.model), Device("cpu")
        return mixed_batches.KINDS[card.family](load_pipeline.open_pipeline(self.model, device), card, device)

    @functools.cached_property
    def adapters(self) -> PipelineAdapters:
        return PipelineAdapters(self.family.pipeline, self.family.card, self.adapter_directory, self.meter)

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Denoising]:
        self.adapters.activate(request.adapters)
        return self.family.begin(request, seeds, inputs)

    def step(self, drawings: Sequence[Denoising]) -> None:
        self.adapters.activate(drawings[0].request.adapters)
        self.family.step(drawings)

    def draw(self, scales: Scales) -> torch.Tensor:
        """Return the final latents of one picture."""
        (drawing,) = mixed_batches.draw_together(self, [BatchMember(self.ask(scales))])  # type: ignore[arg-type]  # the same calls
        return drawing.latents

    def ask(self, scales: Scales, **changes: Any) -> ImageRequest:
        laid = tuple(Adapter(name=name, scale=scale) for name, scale in scales.items())
        return image_request(**{"model": self.model.name, "steps": 3, "adapters": laid, **changes})

    def draw_alone(self, request: ImageRequest) -> torch.Tensor:
        """Return what a stock pipeline makes of *request* with its LoRAs loaded and set as diffusers documents it."""
        stock = AdaptedModel(self.model, self.directory).family
        for place, adapter in enumerate(request.adapters):
            weights = f"{adapter.name}.safetensors"
            stock.pipeline.load_lora_weights(self.directory, weight_name=weights, adapter_name=f"adapter_{place}")
        if request.adapters:
            names = [f"adapter_{place}" for place in range(len(request.adapters))]
            stock.pipeline.set_adapters(names, [adapter.scale for adapter in request.adapters])
        return mixed_batches.draw_alone(stock, request)


def expect_parity(adapted: AdaptedModel, members: Sequence[BatchMember]) -> None:
    drawings = mixed_batches.draw_together(adapted, members)  # type: ignore[arg-type]  # the same calls
    for member, drawing in zip(members, drawings, strict=True):
        assert mixed_batches.distance(drawing.latents, adapted.draw_alone(member.request)) <= TOLERANCE, member


def weights_of(pipeline: Any) -> dict[str, torch.Tensor]:
    """Return the model's own weights, without those of adapters."""
    return {
        f"{part}.{name.replace('.base_layer', '')}": weight.detach().clone()
        for part, module in pipeline.components.items()
        if isinstance(module, torch.nn.Module)
        for name, weight in module.named_parameters()
        if "lora_" not in name
    }


def expect_untouched(adapted: AdaptedModel) -> None:
    fresh, used = (
        weights_of(AdaptedModel(adapted.model, adapted.directory).family.pipeline),
        weights_of(adapted.family.pipeline),
    )
    assert fresh.keys() == used.keys()
    assert all(torch.equal(fresh[name], used[name]) for name in fresh)


def open_adapted_model(name: str, root: Path) -> AdaptedModel:
    """Build a tiny model and two adapters for it in *root*."""
    torch.set_num_threads(1)  # spinning threads cost such small networks more than they bring
    model, directory = tiny_pipelines.save(name, root / name), root / "adapters"
    directory.mkdir()
    tiny_adapters.save(model, directory / "ink.safetensors", seed=1)
    tiny_adapters.save(model, directory / "oil.2.safetensors", seed=2, text=False, alpha=3)
    return AdaptedModel(model, directory)


def open_unknown_model(directory: Path, adapter_directory: AdapterDirectory) -> PipelineAdapters:
    """Return the adapters of a model of a kind that Pressroom does not know."""
    model = tiny_pipelines.save("pixart", directory)
    return PipelineAdapters(
        load_pipeline.open_pipeline(model, Device("cpu")), read_card(model), adapter_directory, Meter()
    )


def replace_with_another_models(path: Path, elsewhere: Path) -> None:
    shutil.copy(elsewhere / path.name, path)


def replace_with_pickle(path: Path, elsewhere: Path) -> None:
    path.write_bytes(b"\x80\x04K\x01.")


def replace_with_a_link_that_leads_out(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to(elsewhere / path.name)


def cut_short(path: Path, elsewhere: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def remove(path: Path, elsewhere: Path) -> None:
    path.unlink()


def lie_about_its_rank(path: Path, elsewhere: Path) -> None:
    """Make a file that passes for an adapter of its model and that peft cannot read."""
    training = {"unet.r": 3, "unet.lora_alpha": 3, "unet.target_modules": tiny_adapters.ATTENTION}
    save_file(load_file(path), path, metadata={TRAINING: json.dumps(training)})
