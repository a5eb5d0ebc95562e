"""Compares images drawn in batches by a family with those of the stock pipeline. Imports torch."""

import copy
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from common.jobs.request import ImageRequest, SchedulerName
from common.models.catalog import Family, read_card
from tests.support.engine import tiny_pipelines
from tests.support.factories import image_request
from worker.engine.families.denoising import Denoising, DenoisingFamily
from worker.engine.families.flux import FluxFamily
from worker.engine.families.sd3 import Sd3Family
from worker.engine.families.sd15 import Sd15Family
from worker.engine.families.sdxl import SdxlFamily
from worker.engine.interface import Inputs
from worker.engine.torch_backend import load_pipeline, schedulers
from worker.torch_device import Device

TOLERANCE = 1e-4
"""How far latents may be from the stock pipeline's, as a share of their largest value."""

KINDS = {Family.SD15: Sd15Family, Family.SDXL: SdxlFamily, Family.SD3: Sd3Family, Family.FLUX: FluxFamily}


@dataclass(frozen=True)
class BatchMember:
    """A request in a batch: before which tick it joins, and after how many of its steps it is dropped, if at all."""

    request: ImageRequest
    joins: int = 0
    drops: int | None = None

    def is_gone(self, drawing: Denoising) -> bool:
        return drawing.done >= (drawing.total if self.drops is None else self.drops)


def open_family(name: str, directory: Path) -> DenoisingFamily:
    """Return the family of a tiny pipeline that is built in *directory*."""
    torch.set_num_threads(1)  # spinning threads cost such small networks more than they bring
    tiny_pipelines.save(name, directory)
    card, device = read_card(directory), Device("cpu")
    return KINDS[card.family](load_pipeline.open_pipeline(directory, device), card, device)


def altered(family: DenoisingFamily, **parts) -> DenoisingFamily:
    """Return a family like *family* whose pipeline has other parts."""
    pipeline = copy.copy(family.pipeline)
    for name, part in parts.items():
        setattr(pipeline, name, part)
    return type(family)(pipeline, family.card, family.device)


def rebuilt(module, **config):
    """Return a module of the same kind with a changed configuration and weights of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return type(module).from_config({**module.config, **config}).eval()


def in_dtype(family: DenoisingFamily, dtype: torch.dtype) -> dict[str, torch.nn.Module]:
    """Return the networks of a family's pipeline in other numbers; itself keeps its own."""
    parts = family.pipeline.components.items()
    return {name: copy.deepcopy(part).to(dtype) for name, part in parts if isinstance(part, torch.nn.Module)}


def asked(name: str, place: int, **changes) -> ImageRequest:
    """Return a request that differs from its neighbours in all that may differ within a lane."""
    values = {
        "model": name,
        "prompt": ("a red cat", "two dogs by the sea", "", "hens")[place % 4],
        "negative_prompt": ("", "grey")[place % 2],
        "steps": (4, 6, 2, 3)[place % 4],
        "guidance_scale": (7.5, 3.3, 1.7, 5.0)[place % 4],
        "seed": place,
    }
    return image_request(**(values | changes))


def build_mixed_batch(name: str, scheduler: SchedulerName | None = None) -> list[BatchMember]:
    """Three lanes: two sizes with guidance, one without; some join when others are half done or gone."""
    plain, small = {"guidance_scale": 1.0}, {"width": 48, "height": 32}
    joining = [(0, {}), (0, {}), (2, {}), (5, {}), (1, plain), (2, plain), (0, small), (2, small)]
    return [
        BatchMember(asked(name, place, scheduler=scheduler, **changes), joins)
        for place, (joins, changes) in enumerate(joining)
    ]


def draw_together(family: DenoisingFamily, members: Iterable[BatchMember]) -> list[Denoising]:
    """Draw all; at each tick every lane takes one step with the rows it has."""
    waiting = sorted(enumerate(members), key=lambda entry: entry[1].joins)
    drawings: dict[int, Denoising] = {}
    active: list[tuple[BatchMember, Denoising]] = []
    tick = 0
    with torch.no_grad():
        while waiting or active:
            while waiting and waiting[0][1].joins <= tick:
                place, member = waiting.pop(0)
                (drawings[place],) = family.begin(member.request, [member.request.seed], Inputs())
                active.append((member, drawings[place]))
            lanes = defaultdict(list)
            for member, drawing in active:
                lanes[member.request.lane].append(drawing)
            for rows in lanes.values():
                family.step(rows)
            active = [(member, drawing) for member, drawing in active if not member.is_gone(drawing)]
            tick += 1
    return [drawings[place] for place in sorted(drawings)]


def draw_alone(family: DenoisingFamily, request: ImageRequest, output_type: str = "latent") -> torch.Tensor:
    """Return what the stock pipeline makes of *request*: its final latents, or another output."""
    stock = copy.copy(family.pipeline)
    stock.scheduler = schedulers.create_scheduler(stock.scheduler, family.card.family, request.scheduler, request.steps)
    further = {"negative_prompt": request.negative_prompt or None} if family.card.negative_prompt else {}
    return stock(
        prompt=request.prompt,
        width=request.width,
        height=request.height,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed),
        output_type=output_type,
        **further,
    ).images


class SyncRecorder(TorchDispatchMode):
    """Lists what would wait for the accelerator, with the meta device in its place, which refuses to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result, options = func(*args, **(kwargs or {})), kwargs or {}
        name = func.overloadpacket.__name__
        leads_there = isinstance(result, torch.Tensor) and result.is_meta
        comes_from_here = any(isinstance(argument, torch.Tensor) and argument.is_cpu for argument in args)
        is_copy = name in {"_to_copy", "copy_"} and leads_there and comes_from_here
        if (is_copy and not options.get("non_blocking")) or name == "_linalg_check_errors":
            self.seen.append(name)
        return result


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference as a share of the largest value."""
    assert ours.shape == theirs.shape
    assert torch.isfinite(theirs).all()
    return float((ours - theirs).abs().max() / theirs.abs().max())


def expect_parity(family: DenoisingFamily, members: list[BatchMember]) -> None:
    """Compare the final latents of each with those of the stock pipeline."""
    for member, drawing in zip(members, draw_together(family, members), strict=True):
        alone = draw_alone(family, member.request)
        assert distance(drawing.latents, alone) <= TOLERANCE, member
