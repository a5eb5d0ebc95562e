"""The loop that anyone would write first: load a pipeline, call it again and again, keep nothing.

Run as a program by ``tests.bench.engine.loops``, so that it has a process to itself: a line says that it is ready, then
each line on standard input asks for so many images and is answered with the seconds that they took.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging


def main() -> None:
    """Answer until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--guidance-scale", type=float, required=True)
    parser.add_argument("--torch-threads", type=int, required=True)
    given = parser.parse_args()
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(given.torch_threads)
    pipeline = DiffusionPipeline.from_pretrained(given.directory, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)

    def draw(count: int) -> None:
        for seed in range(count):
            pipeline(
                "a fox on a red background",
                num_inference_steps=given.steps,
                guidance_scale=given.guidance_scale,
                generator=torch.Generator().manual_seed(seed),
            )

    draw(1)
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        draw(int(line))
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
