"""Load a pipeline from a validated local directory: safetensors only, no custom code."""

import inspect
from collections.abc import Collection
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline

from common.errors import ModelUnavailableError, OutOfMemoryError
from common.models import files
from common.models.catalog import INPAINTING
from worker.engine.torch_backend import optimizations
from worker.engine.torch_backend.errors import describe_error
from worker.torch_device import Device

REQUIRED_PARAMETERS = frozenset({"prompt", "num_inference_steps", "generator", "output_type"})
"""Arguments that every pipeline accepts that generates images from a text or from a picture."""

SIZE_PARAMETERS = frozenset({"height", "width"})
"""Arguments that a pipeline may lack only if it takes a picture, whose size it keeps."""

FOREIGN_PARAMETERS = frozenset({"mask_image", "num_frames", "control_image"})
"""Arguments of other kinds of pipelines only: inpainting, video, control images."""


def open_pipeline(directory: Path, device: Device, speedups: Collection[str] = ()) -> Any:
    """Return the pipeline of *directory* on *device*, with the chosen optimizations applied.

    Raises ModelUnavailableError or OutOfMemoryError.
    """
    files.check_model_directory(directory)
    _silence_libraries()
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            str(directory),
            dtype=device.dtype,
            variant=files.find_variant(directory),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **_build_omissions(directory),
        )
        _check_kind(directory, pipeline)
        pipeline.set_progress_bar_config(disable=True)
        return optimizations.apply_speedups(pipeline.to(device.torch), speedups)
    except (ModelUnavailableError, torch.AcceleratorError):
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemoryError(f"The accelerator does not have enough memory for the model {directory}.") from error
    except Exception as error:  # loading may raise anything; all errors are treated alike
        raise ModelUnavailableError(f"The model {directory} cannot be loaded: {describe_error(error)}") from error


def _build_omissions(directory: Path) -> dict[str, Any]:
    """Return options that leave out the parts that the model was saved without, and the pipeline's safety checker.

    The press runs a check of its own. diffusers wants to be told of a part that is absent on purpose, such as the
    third text encoder of Stable Diffusion 3.
    """
    index = files.read_json_object(directory / "model_index.json")
    absent = {name for name, part in index.items() if files.is_absent_part(part)}
    options: dict[str, Any] = dict.fromkeys(sorted(absent | (files.DISPENSABLE & index.keys())))
    if "safety_checker" in options:
        options["requires_safety_checker"] = False
    return options


def _check_kind(directory: Path, pipeline: Any) -> None:
    """Raise ModelUnavailableError unless jobs can carry all that the pipeline's call needs."""
    taken = set(inspect.signature(pipeline.__call__).parameters)
    kind = type(pipeline).__name__
    needed = REQUIRED_PARAMETERS if "image" in taken else REQUIRED_PARAMETERS | SIZE_PARAMETERS
    if needed - taken or (FOREIGN_PARAMETERS & taken and kind not in INPAINTING) or "controlnet" in pipeline.config:
        raise ModelUnavailableError(
            f"The model {directory} is a {kind}, which generates images neither from a text nor from one picture."
        )


def _silence_libraries() -> None:
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
