# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import pytest

from common.jobs.request import SchedulerName

DIFFUSING, FLOWING = ("sd15", "sdxl"), ("sd3", "flux")

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")

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
def test_a_model_may_use_a_scheduler_that_pressroom_has_no_name_for(mixed_batches, tiny_family, kind):
    import diffusers

    family = tiny_family("sd15")
    own = getattr(diffusers, kind).from_config(family.pipeline.scheduler.config, **OWN_SCHEDULERS[kind])
    family = mixed_batches.altered(family, scheduler=own)
    members = [
        mixed_batches.BatchMember(mixed_batches.asked("sd15", place, steps=5 + place), joins=place)
        for place in range(2)
    ]
    mixed_batches.expect_parity(family, members)


@pytest.mark.parametrize("scheduler", [None, *SchedulerName])
def test_a_model_may_predict_velocity(mixed_batches, tiny_family, scheduler):
    family = tiny_family("sd15")
    own = family.pipeline.scheduler
    family = mixed_batches.altered(family, scheduler=type(own).from_config(own.config, prediction_type="v_prediction"))
    members = [
        mixed_batches.BatchMember(mixed_batches.asked("sd15", place, scheduler=scheduler), joins=place)
        for place in range(2)
    ]
    mixed_batches.expect_parity(family, members)


def test_steps_whose_timesteps_round_to_the_same_value_are_all_taken(mixed_batches, tiny_family):
    """The stock pipeline looks for its first step by its time, takes the second for it, and fails at the last."""
    import torch

    family = tiny_family("sd15")
    own = family.pipeline.scheduler
    no_signal = type(own).from_config(own.config, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    request = mixed_batches.asked("sd15", 0, steps=60, scheduler=SchedulerName.DPMPP_2M_KARRAS)
    (drawing,) = mixed_batches.draw_together(
        mixed_batches.altered(family, scheduler=no_signal), [mixed_batches.BatchMember(request)]
    )
    assert len(drawing.timesteps.unique()) < drawing.done == 60
    assert torch.isfinite(drawing.latents).all()


@pytest.mark.parametrize("name", DIFFUSING)
def test_a_distilled_unet_receives_the_guidance_scale_of_each_row(mixed_batches, tiny_family, name):
    family = tiny_family(name)
    unet = mixed_batches.rebuilt(family.pipeline.unet, time_cond_proj_dim=16)
    family = mixed_batches.altered(family, unet=unet)
    members = [
        mixed_batches.BatchMember(mixed_batches.asked(name, place, steps=4, scheduler=SchedulerName.LCM), joins=place)
        for place in range(3)
    ]
    mixed_batches.expect_parity(family, members)
    assert mixed_batches.draw_together(family, members[:1])[0].sides == 1


def test_flux_steps_rows_together_whatever_their_guidance_scale(mixed_batches, tiny_family):
    import torch

    from worker.engine.interface import Inputs

    family = tiny_family("flux")
    requests = [
        mixed_batches.asked("flux", place, steps=4, guidance_scale=scale) for place, scale in enumerate((0.0, 1.0, 3.5))
    ]
    with torch.no_grad():
        drawings = [family.begin(request, [request.seed], Inputs())[0] for request in requests]
        while drawings[0].done < drawings[0].total:
            family.step(drawings)
    for request, drawing in zip(requests, drawings, strict=True):
        assert (
            mixed_batches.distance(drawing.latents, mixed_batches.draw_alone(family, request))
            <= mixed_batches.TOLERANCE
        )


def test_a_flux_model_without_guidance_embedding_ignores_the_guidance_scale(mixed_batches, tiny_family):
    family = tiny_family("flux")
    transformer = mixed_batches.rebuilt(family.pipeline.transformer, guidance_embeds=False)
    unshifted = type(family.pipeline.scheduler).from_config(
        family.pipeline.scheduler.config, use_dynamic_shifting=False
    )
    family = mixed_batches.altered(family, transformer=transformer, scheduler=unshifted)
    mixed_batches.expect_parity(family, mixed_batches.build_mixed_batch("flux")[1::2])


@pytest.mark.parametrize("name", FLOWING)
def test_a_schedule_may_depend_on_the_image_size(mixed_batches, tiny_family, name):
    family = tiny_family(name)
    own = family.pipeline.scheduler
    shifted = type(own).from_config(own.config, use_dynamic_shifting=True, max_shift=3.0)
    mixed_batches.expect_parity(
        mixed_batches.altered(family, scheduler=shifted), mixed_batches.build_mixed_batch(name)[1::2]
    )


@pytest.mark.parametrize("name", FLOWING)
def test_a_stochastic_schedule_draws_from_the_seed_of_its_image(mixed_batches, tiny_family, name):
    family = tiny_family(name)
    own = family.pipeline.scheduler
    family = mixed_batches.altered(family, scheduler=type(own).from_config(own.config, stochastic_sampling=True))
    members = [
        mixed_batches.BatchMember(mixed_batches.asked(name, place, prompt="hens"), joins=place) for place in (0, 1)
    ]
    in_company = mixed_batches.draw_together(family, members)
    for member, drawing in zip(members, in_company, strict=True):
        (alone,) = mixed_batches.draw_together(family, [member])
        assert mixed_batches.distance(drawing.latents, alone.latents) <= mixed_batches.TOLERANCE


def test_sdxl_latents_may_be_scaled_by_channel(mixed_batches, tiny_family):
    family = tiny_family("sdxl")
    vae = mixed_batches.rebuilt(
        family.pipeline.vae, latents_mean=[0.1, -0.4, 0.2, 0.0], latents_std=[1.0, 2.0, 0.5, 1.5]
    )
    expect_same_picture(mixed_batches, mixed_batches.altered(family, vae=vae))


@pytest.mark.filterwarnings("ignore:.upcast_vae.:FutureWarning")  # the stock pipeline's
def test_an_autoencoder_that_overflows_in_16_bits_decodes_in_32(mixed_batches, tiny_family):
    import torch

    family = tiny_family("sdxl")
    vae = mixed_batches.rebuilt(family.pipeline.vae, force_upcast=True, use_post_quant_conv=True).half()
    family = mixed_batches.altered(family, vae=vae)
    expect_same_picture(mixed_batches, family)
    assert vae.dtype == torch.float32


def expect_same_picture(mixed_batches, family):
    member = mixed_batches.BatchMember(mixed_batches.asked(family.card.name, 0))
    alone = mixed_batches.draw_alone(family, member.request, "pt")
    ours = family.decode(mixed_batches.draw_together(family, [member])).detach()
    assert (ours - alone).abs().max() <= 1 / 255
    assert ours.std() > 0.01
