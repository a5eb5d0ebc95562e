"""The Celery worker that anyone would write first: one task that calls the pipeline and saves a PNG file.

No check, no mark, no thumbnail, no books, no cancel; run as a program by ``tests.bench.engine.contestants``.
"""

import argparse
import functools
from pathlib import Path
from typing import Any

from celery import Celery

TASK = "draw"


def create(url: str) -> Celery:
    """Return the app; *url* is that of its broker, which keeps the results too."""
    app = Celery("plain", broker=url, backend=url)
    app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, worker_hijack_root_logger=False)
    return app


@functools.cache
def open_pipeline(directory: Path, torch_threads: int) -> Any:
    """Load the pipeline once in each process."""
    import torch  # noqa: PLC0415  (whoever only sends tasks needs none of it)
    from diffusers import DiffusionPipeline  # noqa: PLC0415
    from diffusers.utils import logging  # noqa: PLC0415

    logging.set_verbosity_error()
    torch.set_num_threads(torch_threads)
    pipeline = DiffusionPipeline.from_pretrained(directory, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def main() -> None:
    """Work until a signal says stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--torch-threads", type=int, required=True)
    given = parser.parse_args()
    app = create(given.broker)

    @app.task(name=TASK)
    def draw(prompt: str, seed: int, steps: int, guidance_scale: float) -> str:
        import torch  # noqa: PLC0415

        pipeline = open_pipeline(given.directory, given.torch_threads)
        picture = pipeline(
            prompt,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]
        path = given.pictures / f"{seed}.png"
        picture.save(path)
        return str(path)

    app.worker_main(["--quiet", "worker", "--pool=prefork", "--concurrency=1", "--loglevel=ERROR"])


if __name__ == "__main__":
    main()
