"""A pipeline from its directory: admitted, local, safetensors only, without code of its own."""

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

NEEDED = frozenset({"prompt", "height", "width", "num_inference_steps", "generator", "output_type"})
"""What the call of every text-to-image pipeline takes."""

FOREIGN = frozenset({"mask_image", "num_frames", "control_image"})
"""What only pipelines of other kinds take: repairing, filming, tracing."""


def open_pipeline(directory: Path, device: Device, speedups: Collection[str] = ()) -> Any:
    """Return the pipeline of *directory*, on *device*, with all done that ``speed.choose`` chose.

    Raises ModelUnavailableError, a plain sentence, or OutOfMemoryError.
    """
    files.admit(directory)
    _keep_quiet()
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            str(directory),
            dtype=device.dtype,
            variant=files.find_variant(directory),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **_left_out(directory),
        )
        _expect_text_to_image(directory, pipeline)
        pipeline.set_progress_bar_config(disable=True)
        return optimizations.apply(pipeline.to(device.torch), speedups)
    except (ModelUnavailableError, torch.AcceleratorError):
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemoryError(f"The accelerator's memory does not suffice for the model {directory}.") from error
    except Exception as error:  # loading raises whatever a file's content leads to; for the press it is all one
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelUnavailableError(f"The model {directory} cannot be loaded: {reason}") from error


def _left_out(directory: Path) -> dict[str, Any]:
    """Return the options that drop the pipeline's own safety checker: the press checks what it prints itself."""
    index = files.read_object(directory / "model_index.json")
    options: dict[str, Any] = {part: None for part in sorted(files.DISPENSABLE) if part in index}
    if "safety_checker" in options:
        options["requires_safety_checker"] = False
    return options


def _expect_text_to_image(directory: Path, pipeline: Any) -> None:
    taken = set(inspect.signature(pipeline.__call__).parameters)
    kind = type(pipeline).__name__
    if NEEDED - taken or (FOREIGN & taken and kind not in INPAINTING):
        raise ModelUnavailableError(f"The model {directory} is a {kind}, which does not make pictures from text alone.")


def _keep_quiet() -> None:
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
