# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
"""On the meta device, which refuses to be read, with a list of the copies that would have been waited for."""

from contextlib import nullcontext

import pytest

from common.jobs.request import SchedulerName
from common.models.catalog import Family
from tests.support.factories import image_request

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")

STEPS = 5
SHAPE = (1, 4, 8, 8)


@pytest.fixture(scope="module")
def list_synced_copies():
    """Return a function that takes a scheduler's steps on the meta device and returns what waited."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, PNDMScheduler

    from tests.support.engine.mixed_batches import SyncRecorder
    from worker.engine.families import flow_matching
    from worker.engine.families.async_copies import allow_async_copies
    from worker.engine.families.denoising import Denoising, create_generator
    from worker.engine.families.modes import _build_mask_restorer
    from worker.engine.torch_backend import schedulers

    own = {Family.SD15: PNDMScheduler(skip_prk_steps=True), Family.SD3: FlowMatchEulerDiscreteScheduler()}

    def take_steps(family, name, device="cpu", *, inpaints=False):
        scheduler = schedulers.create_scheduler(own[family], family, name, STEPS)
        scheduler.set_timesteps(STEPS, device="cpu")
        request = image_request(steps=STEPS)
        latents = torch.empty(SHAPE, device="meta", dtype=torch.bfloat16)
        options = flow_matching.build_step_options(scheduler, create_generator(0))
        drawing = Denoising(request, 0, scheduler, scheduler.timesteps, latents, {}, options)
        if inpaints:
            if hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(0)
            drawing.after_step = _build_mask_restorer(latents, latents, latents)
        with SyncRecorder() as recorder:
            while drawing.done < drawing.total:
                drawing.scaled_latents()
                with allow_async_copies(torch.device(device), drawing):
                    drawing.advance(torch.empty_like(latents))
        assert drawing.latents.is_meta
        assert drawing.latents.dtype == torch.bfloat16
        return recorder.seen

    return take_steps


@pytest.mark.parametrize(
    ("family", "name"), [(Family.SD15, name) for name in (None, *SchedulerName)] + [(Family.SD3, None)]
)
def test_no_schedulers_step_blocks_on_the_accelerator(list_synced_copies, family, name):
    assert list_synced_copies(family, name, "cuda") == []


@pytest.mark.parametrize("name", SchedulerName)
def test_restoring_the_unmasked_area_does_not_block_on_the_accelerator(list_synced_copies, name):
    assert list_synced_copies(Family.SD15, name, "cuda", inpaints=True) == []
    assert list_synced_copies(Family.SD15, name, inpaints=True)


@pytest.mark.parametrize("name", [SchedulerName.EULER_ANCESTRAL, SchedulerName.LCM, SchedulerName.UNIPC])
def test_some_stock_scheduler_steps_block_on_the_accelerator(list_synced_copies, name):
    """If this fails, diffusers has changed, and ``ahead`` may not be needed any more."""
    assert list_synced_copies(Family.SD15, name)


@pytest.mark.parametrize("name", [SchedulerName.EULER_ANCESTRAL, SchedulerName.LCM, SchedulerName.UNIPC])
def test_a_step_with_asynchronous_copies_gives_the_same_result(name):
    import torch
    from diffusers import PNDMScheduler

    from worker.engine.families import flow_matching
    from worker.engine.families.async_copies import AsyncCopyMode
    from worker.engine.torch_backend import schedulers

    ends = []
    for context in (nullcontext(), AsyncCopyMode()):
        dice = torch.Generator().manual_seed(0)
        latents, output = torch.randn(2, *SHAPE, generator=dice)
        scheduler = schedulers.create_scheduler(PNDMScheduler(skip_prk_steps=True), Family.SD15, name, STEPS)
        scheduler.set_timesteps(STEPS, device="cpu")
        options = flow_matching.build_step_options(scheduler, dice)
        with context:
            for timestep in scheduler.timesteps:
                scheduler.scale_model_input(latents, timestep)
                (latents, *_) = scheduler.step(output, timestep, latents, **options, return_dict=False)
        ends.append(latents)
    assert torch.equal(*ends)


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd3", "flux"])
def test_no_forward_pass_blocks_on_the_accelerator(name, tmp_path):
    import torch

    from tests.support.engine import mixed_batches
    from worker.engine.interface import Inputs

    family = mixed_batches.open_family(name, tmp_path / name)
    drawings = []
    for scale in (5.0, 1.0):
        request = image_request(model=name, guidance_scale=scale, num_images=3)
        with torch.no_grad():
            drawings.append(family.begin(request, request.seeds, Inputs()))
    for lane in drawings:
        for drawing in lane:
            drawing.latents = drawing.latents.to("meta")
            drawing.condition = {key: value.to("meta") for key, value in drawing.condition.items()}
    family.pipeline.to("meta")
    family.device.torch = torch.device("meta")
    with mixed_batches.SyncRecorder() as recorder, torch.no_grad():
        outputs = [family.forward(lane) for lane in drawings]
    assert recorder.seen == []
    assert all(
        output.is_meta and output.shape == (3, *lane[0].latents.shape[1:])
        for output, lane in zip(outputs, drawings, strict=True)
    )
