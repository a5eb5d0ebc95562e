"""The loop that anyone would write first: load a pipeline, call it again and again, keep nothing.

Run as a program by ``tests.bench.overhead``, so that it has a process to itself: a line says that it is ready, then
each line on standard input asks for so many images and is answered with the seconds that they took.
"""

import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging


def main(directory: str, steps: int, guidance_scale: float, threads: int) -> None:
    """Answer until standard input ends."""
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(max(1, torch.get_num_threads() // threads))
    pipelines = [DiffusionPipeline.from_pretrained(directory, local_files_only=True) for _ in range(threads)]
    for pipeline in pipelines:
        pipeline.set_progress_bar_config(disable=True)

    def draw(pipeline: DiffusionPipeline, count: int) -> None:
        for seed in range(count):
            dice = torch.Generator().manual_seed(seed)
            pipeline(
                "a fox on a red background", num_inference_steps=steps, guidance_scale=guidance_scale, generator=dice
            )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(draw, pipelines, [1] * threads))
        print("ready", flush=True)
        for line in sys.stdin:
            began = time.perf_counter()
            list(pool.map(draw, pipelines, [int(line) // threads] * threads))
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
