# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import functools
import random
from types import ModuleType

import pytest

from common.catalog import _DEFAULTS, Family
from common.requests import ImageRequest, SchedulerName
from tests.factories import image_request

TOLERANCE = 1e-4
DIFFUSING, FLOWING = ("sd15", "sdxl"), ("sd3", "flux")
FAMILIES = (*DIFFUSING, *FLOWING)
EVERY_SCHEDULER = [(name, scheduler) for name in FAMILIES for scheduler in _DEFAULTS[Family(name)]["schedulers"]]

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")


@pytest.fixture(scope="module")
def companies() -> ModuleType:
    from tests import companies

    return companies


@pytest.fixture(scope="module")
def opened(companies, tmp_path_factory):
    """Open a tiny family by name, once."""
    root = tmp_path_factory.mktemp("models")
    return functools.cache(lambda name: companies.open_family(name, root / name))


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


def mixed_company(companies, name, scheduler=None):
    """Three lanes: two sizes with guidance, one without; some join when others are half done or gone."""
    plain, small = {"guidance_scale": 1.0}, {"width": 48, "height": 32}
    joining = [(0, {}), (0, {}), (2, {}), (5, {}), (1, plain), (2, plain), (0, small), (2, small)]
    return [
        companies.Guest(asked(name, place, scheduler=scheduler, **changes), joins)
        for place, (joins, changes) in enumerate(joining)
    ]


def expect_parity(companies, family, guests):
    for guest, drawing in zip(guests, companies.draw_together(family, guests), strict=True):
        alone = companies.draw_alone(family, guest.request)
        assert companies.distance(drawing.latents, alone) <= TOLERANCE, guest


@pytest.mark.parametrize(("name", "scheduler"), [("sd15", None), *EVERY_SCHEDULER])
def test_pictures_in_company_end_as_in_the_stock_pipeline_alone(companies, opened, name, scheduler):
    expect_parity(companies, opened(name), mixed_company(companies, name, scheduler))


@pytest.mark.parametrize("name", DIFFUSING)
def test_pictures_of_all_schedulers_share_a_batch(companies, opened, name):
    guests = [
        companies.Guest(asked(name, place, scheduler=scheduler), joins=place // 3)
        for place, scheduler in enumerate([None, *SchedulerName])
    ]
    expect_parity(companies, opened(name), guests)


@pytest.mark.parametrize("name", FAMILIES)
def test_in_16_bits_pictures_differ_from_the_stock_pipelines_by_rounding_only(companies, opened, name):
    import torch

    family = companies.altered(opened(name), **companies.in_dtype(opened(name), torch.bfloat16))
    known = _DEFAULTS[Family(name)]["schedulers"]
    guests = [companies.Guest(asked(name, place, scheduler=scheduler)) for place, scheduler in enumerate(known)]
    drawings = companies.draw_together(family, guests)
    for guest, drawing in zip(guests, drawings, strict=True):
        assert drawing.latents.dtype == torch.bfloat16
        assert companies.distance(drawing.latents, companies.draw_alone(family, guest.request)) <= 0.05
    assert family.decode(drawings).dtype == torch.float32


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_request_says_shows_in_its_picture(companies, opened, name):
    """The comparisons above would not see a thing that these tiny models ignored."""
    changes = [{}, {"prompt": "a dog"}, {"steps": 5}, {"seed": 99}, {"guidance_scale": 9.0}]
    if name != "flux":
        changes += [{"negative_prompt": "grey"}, {"guidance_scale": 1.0}]
    guests = [companies.Guest(asked(name, 0, **change)) for change in changes]
    first, *others = companies.draw_together(opened(name), guests)
    assert all(companies.distance(other.latents, first.latents) > 10 * TOLERANCE for other in others)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [(64, 64), (48, 32)])
def test_decoded_pictures_are_those_of_the_stock_pipeline(companies, opened, name, size):
    family, (width, height) = opened(name), size
    guests = [companies.Guest(asked(name, place, width=width, height=height), joins=place) for place in range(2)]
    pictures = family.decode(companies.draw_together(family, guests)).detach()
    assert pictures.shape == (2, 3, height, width)
    assert 0 <= pictures.min() < pictures.max() <= 1
    for guest, picture in zip(guests, pictures, strict=True):
        alone = companies.draw_alone(family, guest.request, "pt")[0]
        assert (picture - alone).abs().max() <= 1 / 255


@pytest.mark.parametrize("name", FAMILIES)
def test_each_image_of_a_request_has_the_noise_of_its_own_seed(companies, opened, name):
    import torch

    from worker.engine.port import Inputs

    family, request = opened(name), asked(name, 1, num_images=3, scheduler=SchedulerName.EULER)
    with torch.no_grad():
        drawings = family.begin(request, request.seeds, Inputs())
        while drawings[0].done < drawings[0].total:
            family.step(drawings)
    for drawing, seed in zip(drawings, request.seeds, strict=True):
        alone = companies.draw_alone(family, request.model_copy(update={"seed": seed}))
        assert drawing.seed == seed
        assert companies.distance(drawing.latents, alone) <= TOLERANCE


@pytest.fixture(scope="module")
def soloists(companies, opened):
    """Some requests of a family, each with its latents when nobody is about."""

    def draw(name):
        requests = [asked(name, place, guidance_scale=scale) for place in range(3) for scale in (4.0, 1.0)]
        return [(request, companies.draw_together(opened(name), [companies.Guest(request)])[0]) for request in requests]

    return functools.cache(draw)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_random_joins_leaves_and_drops_change_nothing_for_the_others(companies, opened, soloists, name, seed):
    dice = random.Random(seed)
    picks = dice.choices(soloists(name), k=10)
    guests = [
        companies.Guest(request, dice.randrange(8), dice.choice([None, None, dice.randint(1, 2)]))
        for request, _ in picks
    ]
    drawings = companies.draw_together(opened(name), guests)
    for guest, drawing, (_, alone) in zip(guests, drawings, picks, strict=True):
        if guest.drops is None:
            assert companies.distance(drawing.latents, alone.latents) <= TOLERANCE


OWN_SCHEDULERS = {
    "PNDMScheduler": {"skip_prk_steps": False},
    "HeunDiscreteScheduler": {},  # asks the model twice in a step
    "KDPM2AncestralDiscreteScheduler": {},  # that too, and throws dice
    "DPMSolverSinglestepScheduler": {},
    "DPMSolverMultistepScheduler": {"algorithm_type": "sde-dpmsolver++"},
    "UniPCMultistepScheduler": {"solver_order": 3, "timestep_spacing": "trailing"},
    "DEISMultistepScheduler": {},
    "DDPMScheduler": {},
    "TCDScheduler": {},
    "EDMEulerScheduler": {},
}


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("kind", OWN_SCHEDULERS)
def test_a_model_may_bring_a_scheduler_that_has_no_name_here(companies, opened, kind):
    import diffusers

    family = opened("sd15")
    own = getattr(diffusers, kind).from_config(family.pipeline.scheduler.config, **OWN_SCHEDULERS[kind])
    family = companies.altered(family, scheduler=own)
    guests = [companies.Guest(asked("sd15", place, steps=5 + place), joins=place) for place in range(2)]
    expect_parity(companies, family, guests)


@pytest.mark.parametrize("scheduler", [None, *SchedulerName])
def test_a_model_may_predict_velocity(companies, opened, scheduler):
    family = opened("sd15")
    own = family.pipeline.scheduler
    family = companies.altered(family, scheduler=type(own).from_config(own.config, prediction_type="v_prediction"))
    guests = [companies.Guest(asked("sd15", place, scheduler=scheduler), joins=place) for place in range(2)]
    expect_parity(companies, family, guests)


def test_many_steps_whose_times_are_rounded_to_the_same_are_all_taken(companies, opened):
    """The stock pipeline looks for its first step by its time, takes the second for it, and fails at the last."""
    import torch

    family = opened("sd15")
    own = family.pipeline.scheduler
    no_signal = type(own).from_config(own.config, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    request = asked("sd15", 0, steps=60, scheduler=SchedulerName.DPMPP_2M_KARRAS)
    (drawing,) = companies.draw_together(companies.altered(family, scheduler=no_signal), [companies.Guest(request)])
    assert len(drawing.timesteps.unique()) < drawing.done == 60
    assert torch.isfinite(drawing.latents).all()


@pytest.mark.parametrize("name", DIFFUSING)
def test_a_distilled_unet_is_told_each_rows_guidance_scale(companies, opened, name):
    family = opened(name)
    unet = companies.rebuilt(family.pipeline.unet, time_cond_proj_dim=16)
    family = companies.altered(family, unet=unet)
    guests = [
        companies.Guest(asked(name, place, steps=4, scheduler=SchedulerName.LCM), joins=place) for place in range(3)
    ]
    expect_parity(companies, family, guests)
    assert companies.draw_together(family, guests[:1])[0].sides == 1


def test_flux_steps_rows_together_whatever_their_guidance_scale(companies, opened):
    import torch

    from worker.engine.port import Inputs

    family = opened("flux")
    requests = [asked("flux", place, steps=4, guidance_scale=scale) for place, scale in enumerate((0.0, 1.0, 3.5))]
    with torch.no_grad():
        drawings = [family.begin(request, [request.seed], Inputs())[0] for request in requests]
        while drawings[0].done < drawings[0].total:
            family.step(drawings)
    for request, drawing in zip(requests, drawings, strict=True):
        assert companies.distance(drawing.latents, companies.draw_alone(family, request)) <= TOLERANCE


def test_a_flux_that_is_not_told_the_guidance_scale_ignores_it(companies, opened):
    family = opened("flux")
    transformer = companies.rebuilt(family.pipeline.transformer, guidance_embeds=False)
    unshifted = type(family.pipeline.scheduler).from_config(
        family.pipeline.scheduler.config, use_dynamic_shifting=False
    )
    family = companies.altered(family, transformer=transformer, scheduler=unshifted)
    expect_parity(companies, family, mixed_company(companies, "flux")[1::2])


@pytest.mark.parametrize("name", FLOWING)
def test_a_schedule_may_look_at_the_pictures_size(companies, opened, name):
    family = opened(name)
    own = family.pipeline.scheduler
    shifted = type(own).from_config(own.config, use_dynamic_shifting=True, max_shift=3.0)
    expect_parity(companies, companies.altered(family, scheduler=shifted), mixed_company(companies, name)[1::2])


@pytest.mark.parametrize("name", FLOWING)
def test_a_schedule_that_throws_dice_throws_the_pictures_own(companies, opened, name):
    family = opened(name)
    own = family.pipeline.scheduler
    family = companies.altered(family, scheduler=type(own).from_config(own.config, stochastic_sampling=True))
    guests = [companies.Guest(asked(name, place, prompt="hens"), joins=place) for place in (0, 1)]
    in_company = companies.draw_together(family, guests)
    for guest, drawing in zip(guests, in_company, strict=True):
        (alone,) = companies.draw_together(family, [guest])
        assert companies.distance(drawing.latents, alone.latents) <= TOLERANCE


def test_sdxl_latents_may_be_scaled_by_channel(companies, opened):
    family = opened("sdxl")
    vae = companies.rebuilt(family.pipeline.vae, latents_mean=[0.1, -0.4, 0.2, 0.0], latents_std=[1.0, 2.0, 0.5, 1.5])
    expect_same_picture(companies, companies.altered(family, vae=vae))


@pytest.mark.filterwarnings("ignore:.upcast_vae.:FutureWarning")  # the stock pipeline's
def test_an_autoencoder_that_16_bits_overflow_decodes_in_32(companies, opened):
    import torch

    family = opened("sdxl")
    vae = companies.rebuilt(family.pipeline.vae, force_upcast=True, use_post_quant_conv=True).half()
    family = companies.altered(family, vae=vae)
    expect_same_picture(companies, family)
    assert vae.dtype == torch.float32


def expect_same_picture(companies, family):
    guest = companies.Guest(asked(family.card.name, 0))
    alone = companies.draw_alone(family, guest.request, "pt")
    ours = family.decode(companies.draw_together(family, [guest])).detach()
    assert (ours - alone).abs().max() <= 1 / 255
    assert ours.std() > 0.01
