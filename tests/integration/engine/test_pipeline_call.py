# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from common.errors import GenerationError
from common.jobs.request import Mode
from tests.support.engine.engine_fixture import card
from tests.support.factories import image_request
from worker.engine.interface import NO_INPUTS, Inputs

CARD = card(default_guidance_scale=5.0)


def arguments(pipeline, inputs=NO_INPUTS, **changes):
    from worker.engine.families.pipeline_call import build_arguments

    request = image_request(**({"prompt": "a fox", "guidance_scale": 3.0, "steps": 7} | changes))
    given = build_arguments(pipeline, CARD, request, 0, inputs)
    return {name: value for name, value in given.items() if name != "generator"}


def derive(pipeline):
    from worker.engine.families.pipeline_call import derive_card_fields

    return derive_card_fields(pipeline)


def read(pixels, name="images"):
    from worker.engine.families.pipeline_output import read_pictures

    return read_pictures(SimpleNamespace(**{name: pixels}))


class QwenLike:
    def __call__(
        self, prompt=None, negative_prompt=None, true_cfg_scale=4.0, guidance_scale=None, num_inference_steps=50
    ):
        pass


class SprintLike:
    def __call__(
        self, prompt=None, num_inference_steps=2, intermediate_timesteps=1.3, guidance_scale=4.5, width=1024, height=512
    ):
        pass


class KontextLike:
    def __call__(self, prompt=None, negative_prompt=None, true_cfg_scale=1.0, guidance_scale=3.5, output_type="pil"):
        pass


class DistilledLike:
    def __call__(self, prompt=None, num_inference_steps=50, distilled_guidance_scale=3.25):
        pass


class PlannedLike:
    def __call__(self, prompt=None, guidance_scale=None, width=2048, height=2048):
        pass


class EditLike:
    default_sample_size, vae_scale_factor = 64, 8

    def __call__(self, image=None, prompt=None, width=None, height=None, strength=0.6):
        pass


def test_the_guidance_scale_goes_to_the_parameter_that_the_pipeline_uses():
    assert arguments(QwenLike())["true_cfg_scale"] == 3.0
    assert "guidance_scale" not in arguments(QwenLike())
    assert arguments(KontextLike())["guidance_scale"] == 3.0
    assert "true_cfg_scale" not in arguments(KontextLike())
    assert arguments(DistilledLike())["distilled_guidance_scale"] == 3.0
    assert derive(DistilledLike())["default_guidance_scale"] == 3.25


def test_a_pipeline_without_guidance_has_none_to_choose():
    class Unguided:
        def __call__(self, prompt=None, num_inference_steps=4):
            pass

    from torch.nn import Module

    undistilled = DistilledLike()
    undistilled.transformer = Module()
    undistilled.transformer.config = SimpleNamespace(guidance_embeds=False)
    for pipeline in (Unguided(), undistilled):
        derived = derive(pipeline)
        assert (derived["default_guidance_scale"], derived["guidance_scale"]) == (0.0, False)
    assert "distilled_guidance_scale" not in arguments(undistilled)
    assert arguments(Unguided()) == {"prompt": "a fox", "num_inference_steps": 7}


def test_guidance_that_is_off_without_a_negative_prompt_gets_a_blank_one():
    assert arguments(QwenLike())["negative_prompt"] == " "
    assert arguments(QwenLike(), negative_prompt="blur")["negative_prompt"] == "blur"
    assert "negative_prompt" not in arguments(QwenLike(), guidance_scale=1.0)
    assert "negative_prompt" not in arguments(KontextLike())


def test_a_plan_of_guidance_is_replaced_only_by_another_scale_than_the_default():
    assert "guidance_scale" not in arguments(PlannedLike(), guidance_scale=5.0)
    assert arguments(PlannedLike(), guidance_scale=2.0)["guidance_scale"] == 2.0


def test_a_default_that_suits_the_default_steps_only_is_dropped_with_others():
    assert "intermediate_timesteps" not in arguments(SprintLike(), steps=2)
    assert arguments(SprintLike(), steps=7)["intermediate_timesteps"] is None


def test_an_init_image_is_fitted_to_the_size_of_the_request():
    given = arguments(EditLike(), Inputs(Image.new("RGB", (10, 10))), width=64, height=32, strength=0.5)
    assert (given["image"].size, given["strength"]) == ((64, 32), 0.5)


def test_the_card_is_derived_from_the_signature():
    assert derive(QwenLike()) == {
        "modes": [Mode.TEXT], "negative_prompt": True, "default_steps": 50, "default_guidance_scale": 4.0
    }  # fmt: skip
    sprint = derive(SprintLike())
    assert (sprint["default_steps"], sprint["default_width"], sprint["default_height"]) == (2, 1024, 512)
    assert not sprint["negative_prompt"]
    assert not derive(KontextLike())["negative_prompt"]
    edit = derive(EditLike())
    assert (edit["modes"], edit["default_width"], edit["default_height"]) == ([Mode.TEXT, Mode.IMAGE], 512, 512)
    assert derive(PlannedLike())["max_size"] == 2048


def test_pictures_are_read_under_both_names_and_in_every_form():
    half = np.full((1, 32, 64, 3), 0.5, np.float32)
    for found in (read(half), read(half, "image"), read(half[0]), read(half[..., :1])):
        assert tuple(found.shape) == (1, 3, 32, 64)
        assert found.mean().item() == 0.5
    for pictures in ([Image.new("RGB", (64, 32), "white")], Image.new("L", (64, 32), 255)):
        assert read(pictures).min().item() == 1.0


def test_transparency_is_laid_over_white():
    assert read(np.zeros((1, 32, 64, 4), np.float32)).min().item() == 1.0


@pytest.mark.parametrize("output", [None, "a text", [], [[1, 2], [3]], np.zeros((1, 2, 32, 64, 3))])
def test_anything_else_is_an_error(output):
    with pytest.raises(GenerationError):
        read(output)
