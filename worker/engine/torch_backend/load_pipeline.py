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
from worker.torch_device import Device

REQUIRED_PARAMETERS = frozenset({"prompt", "height", "width", "num_inference_steps", "generator", "output_type"})
"""Arguments that every text-to-image pipeline accepts."""

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
            **_build_checker_omission(directory),
        )
        _check_text_to_image(directory, pipeline)
        pipeline.set_progress_bar_config(disable=True)
        return optimizations.apply_speedups(pipeline.to(device.torch), speedups)
    except (ModelUnavailableError, torch.AcceleratorError):
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemoryError(f"The accelerator does not have enough memory for the model {directory}.") from error
    except Exception as error:  # loading may raise anything; all errors are treated alike
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelUnavailableError(f"The model {directory} cannot be loaded: {reason}") from error


def _build_checker_omission(directory: Path) -> dict[str, Any]:
    """Return options that disable the pipeline's own safety checker: the press runs its own check."""
    index = files.read_json_object(directory / "model_index.json")
    options: dict[str, Any] = {part: None for part in sorted(files.DISPENSABLE) if part in index}
    if "safety_checker" in options:
        options["requires_safety_checker"] = False
    return options


def _check_text_to_image(directory: Path, pipeline: Any) -> None:
    taken = set(inspect.signature(pipeline.__call__).parameters)
    kind = type(pipeline).__name__
    if REQUIRED_PARAMETERS - taken or (FOREIGN_PARAMETERS & taken and kind not in INPAINTING):
        raise ModelUnavailableError(f"The model {directory} is a {kind}, which does not support text-to-image.")


def _silence_libraries() -> None:
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
