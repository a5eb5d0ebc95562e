# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import pytest

from common.errors import GenerationError
from common.jobs.request import SchedulerName
from common.models.catalog import Family

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")

OWN = {
    "PNDMScheduler": {"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1},
    "DDIMScheduler": {
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
        "prediction_type": "v_prediction",
        "clip_sample": True,
    },
    "DDPMScheduler": {"clip_sample": True},
    "DPMSolverMultistepScheduler": {"use_exponential_sigmas": True, "solver_order": 3},
    "EulerDiscreteScheduler": {"use_karras_sigmas": True, "timestep_spacing": "leading"},
    "UniPCMultistepScheduler": {"solver_type": "bh1"},
    "LCMScheduler": {"original_inference_steps": 20},
}


def make_own(kind):
    import diffusers

    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return getattr(diffusers, kind)(**betas, **OWN[kind])


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("name", SchedulerName)
def test_every_scheduler_takes_any_number_of_steps_whatever_the_models_own_is(kind, name):
    import torch

    from worker.engine.torch_backend import schedulers

    own = make_own(kind)
    for steps in (1, 2, 60):
        scheduler = schedulers.create_scheduler(own, Family.SD15, name, steps)
        scheduler.set_timesteps(steps, device="cpu")
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)
        dice = torch.Generator().manual_seed(steps)
        latents = torch.randn(1, 4, 2, 2, generator=dice) * scheduler.init_noise_sigma
        assert len(scheduler.timesteps) == steps
        for timestep in scheduler.timesteps:
            scheduler.scale_model_input(latents, timestep)
            output = torch.randn(latents.shape, generator=dice)
            (latents, *_) = scheduler.step(output, timestep, latents, return_dict=False)
        assert torch.isfinite(latents).all()


def test_a_models_own_lcm_scheduler_takes_more_steps_and_is_left_unchanged():
    from worker.engine.torch_backend import schedulers

    own = make_own("LCMScheduler")
    for name in (None, SchedulerName.LCM):
        made = schedulers.create_scheduler(own, Family.SD15, name, 60)
        made.set_timesteps(60)
        assert len(made.timesteps) == 60
    assert schedulers.create_scheduler(own, Family.SD15, None, 4).config.original_inference_steps == 20
    assert own.config.original_inference_steps == 20


def test_a_scheduler_that_the_family_does_not_know_is_refused():
    from worker.engine.torch_backend import schedulers

    for family in (Family.FLUX, Family.OTHER):
        with pytest.raises(GenerationError, match="unipc"):
            schedulers.create_scheduler(make_own("PNDMScheduler"), family, SchedulerName.UNIPC, 4)
