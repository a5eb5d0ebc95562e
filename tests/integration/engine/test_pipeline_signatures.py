# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
"""The pipelines of the installed diffusers: no parameter that a request should control is unknown.

Their signatures are read from the source, since importing all of them takes half a minute.
"""

import importlib.util
import re
from pathlib import Path

import pytest

CALL = re.compile(r"^class (\w+Pipeline)\b|^    def __call__\(\n(.*?)^    \)", re.MULTILINE | re.DOTALL)
PARAMETER = re.compile(r"^        (\w+)\s*[:=,]", re.MULTILINE)

STEPS = {"num_inference_steps", "intermediate_timesteps"}
SIZES = {"width", "height", "max_area"}

LEFT_ALONE = {
    # Guidance by something else than the prompt, or only between some steps.
    *("image_guidance_scale", "img_guidance_scale", "source_guidance_scale", "edit_guidance_scale", "sem_guidance"),
    *("skip_guidance_layers", "skip_layer_guidance_scale", "skip_layer_guidance_start", "skip_layer_guidance_stop"),
    *("control_guidance_start", "control_guidance_end", "cross_attention_guidance_amount"),
    # How guidance is normalized or scheduled, and that of a decoder, which is off.
    *("guidance_rescale", "guidance_schedule", "cfg_normalization", "cfg_normalize", "cfg_renorm_min"),
    *("enable_cfg_renorm", "cfg_trunc_ratio", "cfg_truncation", "use_dynamic_cfg", "decoder_guidance_scale"),
    # Callbacks, steps of a first or an original schedule, and steps at which an edit begins and ends.
    *("callback_steps", "callback_on_step_end", "callback_on_step_end_tensor_inputs", "prior_callback_on_step_end"),
    *("prior_callback_on_step_end_tensor_inputs", "prior_num_inference_steps", "original_inference_steps"),
    *("enforce_inference_steps", "edit_warmup_steps", "edit_cooldown_steps", "timesteps", "max_timesteps"),
    *("prior_timesteps", "decoder_timesteps"),
    # Sizes that the model is told as a condition, of other pictures, of batches, and how a size is arrived at: if by
    # that another size is delivered than was requested, the trial notices.
    *("original_size", "target_size", "negative_original_size", "negative_target_size", "max_input_image_size"),
    *("decode_chunk_size", "view_batch_size", "motion_encode_batch_size", "use_input_image_size_as_output"),
    *("use_resolution_binning", "output_resolution", "resolution", "_auto_resize"),
}
"""Parameters whose own default is right."""


def read_signatures():
    """Return the names of the parameters of each pipeline that may be offered."""
    from worker.engine.torch_backend.load_pipeline import FOREIGN_PARAMETERS, REQUIRED_PARAMETERS, SIZE_PARAMETERS

    found = {}
    spec = importlib.util.find_spec("diffusers")
    for path in Path(spec.origin).with_name("pipelines").rglob("pipeline_*.py"):
        name = ""
        for match in CALL.finditer(path.read_text(encoding="utf-8")):
            name = match[1] or name
            taken = set(PARAMETER.findall(match[2] or ""))
            needed = REQUIRED_PARAMETERS if "image" in taken else REQUIRED_PARAMETERS | SIZE_PARAMETERS
            if name and not needed - taken and not FOREIGN_PARAMETERS & taken:
                found[name] = taken
    return found


@pytest.fixture(scope="module")
def signatures():
    return read_signatures()


def test_the_pipelines_are_found(signatures):
    assert len(signatures) > 100
    assert {"FluxKontextPipeline", "HunyuanImagePipeline", "QwenImagePipeline"} <= signatures.keys()


@pytest.mark.parametrize("words", ["guid|cfg", "steps?(_|$)", "size|width|height|resol|area"])
def test_no_parameter_that_a_request_should_control_is_unknown(signatures, words):
    from worker.engine.families.pipeline_call import GUIDANCE

    known = {*GUIDANCE, *STEPS, *SIZES, *LEFT_ALONE}
    unknown = {
        f"{pipeline}: {name}"
        for pipeline, names in signatures.items()
        for name in names - known
        if re.search(words, name)
    }
    assert not unknown, "pass it in worker/engine/families/pipeline_call.py, or say here why not"


def test_every_pipeline_with_a_guidance_scale_gets_that_of_the_request(signatures):
    from worker.engine.families.pipeline_call import find_guidance

    guided = {name: taken for name, taken in signatures.items() if any("guidance_scale" in each for each in taken)}
    assert [name for name, taken in guided.items() if find_guidance(dict.fromkeys(taken, 1.0)) is None] == []
