"""Translate accelerator errors into the errors of ``common.errors``."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from common.errors import OutOfMemoryError, PressroomError, UnforeseenError
from common.logs import get_logger
from worker.engine.accelerator import Exit
from worker.torch_device import Device

EXIT_BROKEN_ACCELERATOR = 70
"""Exit status of a press whose accelerator failed (``EX_SOFTWARE`` in sysexits.h)."""

LONGEST_REASON = 400
"""Characters of a library's error message that are quoted; some list every layer of a model."""

log = get_logger(__name__)


@contextmanager
def translate_errors(device: Device, leave: Exit = os._exit) -> Iterator[None]:
    """Turn any error of torch or a pipeline into an UnforeseenError; end the process if CUDA is permanently broken.

    After such an error every CUDA call in this process fails, so only a new process can continue.
    """
    try:
        yield
    except PressroomError:
        raise
    except Exception as error:  # noqa: BLE001  (pipelines may raise anything, and the press must keep running)
        # Neither the message nor the traceback is logged: they may quote the prompt.
        log.error("pipeline_failed", error=type(error).__name__, where=_last_line(error))  # noqa: TRY400
        if isinstance(error, torch.AcceleratorError):
            leave(EXIT_BROKEN_ACCELERATOR)
        traceback.clear_frames(error.__traceback__)  # the frames hold the tensors that filled the memory
        if is_out_of_memory(error):
            device.free()
            raise OutOfMemoryError from None
        failure = UnforeseenError(f"The model failed on this request with {type(error).__name__}.")
        failure.add_note(describe_error(error))  # for a trial, whose prompt is public
        raise failure from None


def describe_error(error: Exception) -> str:
    """Return an error's type and message in one line, shortened."""
    message = " ".join(str(error).split())
    described = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return described if len(described) <= LONGEST_REASON else described[: LONGEST_REASON - 1] + "…"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of torch means that the device has too little memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)  # torch's own words on a CPU


def _last_line(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
