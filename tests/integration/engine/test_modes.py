"""Batched images from input images, compared with the stock img2img and inpainting pipelines."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from PIL import Image, ImageDraw

from common.db.ids import create_id
from common.errors import GenerationError
from common.jobs.request import ImageRequest, Mode, SchedulerName
from common.models.catalog import Family, ModelCard, read_card
from tests.support.engine import tiny_pipelines
from tests.support.factories import image_request
from worker.engine.families.denoising import Denoising, DenoisingFamily
from worker.engine.families.sd15 import Sd15Family
from worker.engine.families.sdxl import SdxlFamily
from worker.engine.interface import Inputs
from worker.engine.torch_backend import load_pipeline, schedulers
from worker.torch_device import Device

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"), pytest.mark.timeout(300)]

SIDE = 64
TOLERANCE = 1e-4
FAMILIES: dict[str, type[DenoisingFamily]] = {"sd15": Sd15Family, "sdxl": SdxlFamily}
STOCK = {
    (Family.SD15, Mode.IMAGE): StableDiffusionImg2ImgPipeline,
    (Family.SD15, Mode.INPAINT): StableDiffusionInpaintPipeline,
    (Family.SDXL, Mode.IMAGE): StableDiffusionXLImg2ImgPipeline,
    (Family.SDXL, Mode.INPAINT): StableDiffusionXLInpaintPipeline,
}


@pytest.fixture(scope="module", autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DenoisingFamily:
    directory = tiny_pipelines.save(request.param, tmp_path_factory.mktemp("models") / request.param)
    return open_family(request.param, directory)


def open_family(name: str, directory: Any) -> DenoisingFamily:
    device = Device("cpu")
    return FAMILIES[name](load_pipeline.open_pipeline(directory, device), read_card(directory), device)


def init_picture(hue: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    picture = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (picture, picture.rotate(90), Image.new("L", size, hue)))


def mask_picture(size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((0, 0, size[0] // 2, size[1] // 3), fill=255)
    return mask


def asked(card: ModelCard, mode: Mode, **changes: Any) -> ImageRequest:
    named = {"init_image": create_id()} | ({"mask_image": create_id()} if mode is Mode.INPAINT else {})
    return image_request(model=card.name, width=SIDE, height=SIDE, **named, **changes)


def company(card: ModelCard, mode: Mode, scheduler: SchedulerName | None) -> list[ImageRequest]:
    """Return requests that differ in all that may differ within a lane."""
    return [
        asked(card, mode, seed=1, steps=4, strength=0.5, guidance_scale=3.0, prompt="a cat", scheduler=scheduler),
        asked(card, mode, seed=2, steps=9, strength=0.8, guidance_scale=7.5, prompt="a dog", scheduler=scheduler),
        asked(card, mode, seed=3, steps=6, strength=1.0, guidance_scale=2.0, prompt="a hen", negative_prompt="grey"),
        asked(card, mode, seed=4, steps=5, strength=0.3, guidance_scale=5.0, scheduler=SchedulerName.EULER_ANCESTRAL),
    ]


def draw_together(family: DenoisingFamily, requests: list[ImageRequest], inputs: list[Inputs]) -> list[Denoising]:
    """Draw all, one joining after each step; the first two begin together."""
    drawings = [
        family.begin(request, [request.seed], given)[0] for request, given in zip(requests, inputs, strict=True)
    ]
    waiting, active = drawings[2:], drawings[:2]
    while active:
        family.step(active)
        active = [drawing for drawing in active if drawing.done < drawing.total]
        active += [waiting.pop()] if waiting else []
    return drawings


def options_of(card: ModelCard) -> dict[str, bool]:
    return {"requires_safety_checker": False} if card.family is Family.SD15 else {"add_watermarker": False}


def draw_alone(family: DenoisingFamily, request: ImageRequest, given: Inputs) -> torch.Tensor:
    """Return the final latents of the stock pipeline."""
    kind = STOCK[family.card.family, request.mode]
    stock: Any = kind(**family.pipeline.components, **options_of(family.card))
    stock.scheduler = schedulers.create_scheduler(stock.scheduler, family.card.family, request.scheduler, request.steps)
    stock.set_progress_bar_config(disable=True)
    further = {"mask_image": given.mask_image, "width": SIDE, "height": SIDE} if given.mask_image else {}
    return stock(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt or None,
        image=given.init_image,
        strength=request.strength,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed),
        output_type="latent",
        **further,
    ).images


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def expect_parity(family: DenoisingFamily, requests: list[ImageRequest]) -> None:
    inputs = [
        Inputs(init_picture(60 * place), mask_picture() if request.mode is Mode.INPAINT else None)
        for place, request in enumerate(requests)
    ]
    drawings = draw_together(family, requests, inputs)
    for request, given, drawing in zip(requests, inputs, drawings, strict=True):
        alone = draw_alone(family, request, given)
        assert torch.isfinite(alone).all()
        assert distance(drawing.latents, alone) <= TOLERANCE, (request.scheduler, request.steps, request.strength)


@pytest.mark.parametrize("mode", [Mode.IMAGE, Mode.INPAINT])
@pytest.mark.parametrize("scheduler", [None, *SchedulerName])
def test_batched_images_match_the_stock_pipeline(
    family: DenoisingFamily, mode: Mode, scheduler: SchedulerName | None
) -> None:
    expect_parity(family, company(family.card, mode, scheduler))


@pytest.mark.parametrize("mode", [Mode.IMAGE, Mode.INPAINT])
def test_batched_images_without_guidance_match_the_stock_pipeline(family: DenoisingFamily, mode: Mode) -> None:
    plain = [asked(family.card, mode, seed=seed, steps=3 + seed, strength=0.7, guidance_scale=1.0) for seed in range(4)]
    expect_parity(family, plain)


def test_a_sampling_autoencoder_draws_random_numbers_in_the_stock_order(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    family = open_family("sd15", tiny_pipelines.save("sd15", tmp_path_factory.mktemp("models") / "sd15"))
    family.pipeline.register_modules(vae=tiny_pipelines._vae(4).eval())
    family = Sd15Family(family.pipeline, family.card, family.device)
    assert isinstance(family.pipeline.vae, AutoencoderKL)
    for mode in (Mode.IMAGE, Mode.INPAINT):
        expect_parity(family, company(family.card, mode, SchedulerName.EULER_ANCESTRAL))


@pytest.mark.parametrize("name", list(FAMILIES))
def test_an_inpainting_model_receives_mask_and_image(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("models") / f"{name}-inpainting"
    save_inpainting(name, directory)
    family = open_family(name, directory)
    assert family.card.modes == [Mode.INPAINT]
    expect_parity(family, company(family.card, Mode.INPAINT, None))
    tried = image_request(model=family.card.name, width=SIDE, height=SIDE, steps=3)
    (drawing,) = family.begin(tried, [1], Inputs())  # as a press does when it has loaded it
    while drawing.done < drawing.total:
        family.step([drawing])
    assert torch.isfinite(drawing.latents).all()


def save_inpainting(name: str, directory: Path) -> None:
    opened = open_family(name, tiny_pipelines.save(name, directory.with_name(name)))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        unet = UNet2DConditionModel.from_config({**opened.pipeline.unet.config, "in_channels": 9})
    opened.pipeline.register_modules(unet=unet)
    stock: Any = STOCK[opened.card.family, Mode.INPAINT]
    stock(**opened.pipeline.components, **options_of(opened.card)).save_pretrained(directory, safe_serialization=True)


def test_input_images_are_resized_to_the_requested_size(family: DenoisingFamily) -> None:
    request = asked(family.card, Mode.INPAINT, steps=4, strength=0.6)
    given = Inputs(init_picture(size=(100, 40)), mask_picture((30, 90)))
    (drawing,) = family.begin(request, [request.seed], given)
    while drawing.done < drawing.total:
        family.step([drawing])
    assert distance(drawing.latents, draw_alone(family, request, given)) <= TOLERANCE
    assert family.decode([drawing]).shape == (1, 3, SIDE, SIDE)


def test_only_the_masked_area_changes(family: DenoisingFamily) -> None:
    request = asked(family.card, Mode.INPAINT, steps=4, strength=1.0)
    (drawing,) = family.begin(request, [request.seed], Inputs(init_picture(), mask_picture()))
    kept = copy.deepcopy(family.pipeline.image_processor).preprocess(init_picture(), SIDE, SIDE)
    while drawing.done < drawing.total:
        family.step([drawing])
    dice = torch.Generator().manual_seed(request.seed)
    encoded = family.pipeline.vae.encode(kept)
    latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample(dice)
    difference = (drawing.latents - latents * family.pipeline.vae.config.scaling_factor).abs()
    assert difference[..., -1, -1].max() < 1e-4
    assert difference[..., 0, 0].max() > 1e-2


def test_a_strength_that_leaves_no_step_is_refused(family: DenoisingFamily) -> None:
    request = asked(family.card, Mode.IMAGE, steps=2, strength=0.1)
    with pytest.raises(GenerationError, match="No step is left"):
        family.begin(request, [1], Inputs(init_picture()))
