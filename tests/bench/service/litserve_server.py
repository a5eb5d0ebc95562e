"""The same pipeline behind LitServe, which batches whole requests: up to 8 that come within 50 ms of the first.

All requests here have equal steps, for a batch runs as one call of the pipeline; no check, no mark, no thumbnail, no
books, no cancel. Run as a program by ``tests.bench.engine.contestants``.
"""

import argparse
from pathlib import Path
from typing import Any

import litserve
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging

LARGEST_BATCH = 8
WINDOW_SECONDS = 0.05

Order = dict[str, Any]


class Drawing(litserve.LitAPI):
    """Answers an order with the path of its picture."""

    def __init__(self, directory: Path, pictures: Path, torch_threads: int) -> None:
        super().__init__(max_batch_size=LARGEST_BATCH, batch_timeout=WINDOW_SECONDS)
        self._directory = directory
        self._pictures = pictures
        self._torch_threads = torch_threads

    def setup(self, device: str) -> None:
        """Load the pipeline."""
        logging.set_verbosity_error()
        torch.set_num_threads(self._torch_threads)
        self._pipeline = DiffusionPipeline.from_pretrained(self._directory, local_files_only=True)
        self._pipeline.set_progress_bar_config(disable=True)

    def decode_request(self, request: Order) -> Order:
        """Return the order as it came."""
        return request

    def predict(self, orders: list[Order]) -> list[tuple[int, Any]]:
        """Draw all in one call."""
        drawn = self._pipeline(
            [order["prompt"] for order in orders],
            num_inference_steps=orders[0]["steps"],
            guidance_scale=orders[0]["guidance_scale"],
            generator=[torch.Generator().manual_seed(order["seed"]) for order in orders],
        ).images
        return [(order["seed"], picture) for order, picture in zip(orders, drawn, strict=True)]

    def encode_response(self, drawn: tuple[int, Any]) -> dict[str, str]:
        """Save a picture."""
        seed, picture = drawn
        path = self._pictures / f"{seed}.png"
        picture.save(path)
        return {"path": str(path)}


def main() -> None:
    """Serve until a signal says stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--torch-threads", type=int, required=True)
    given = parser.parse_args()
    api = Drawing(given.directory, given.pictures, given.torch_threads)
    server = litserve.LitServer(api, accelerator="cpu", timeout=False)
    server.run(host="127.0.0.1", port=given.port, log_level="error", generate_client_file=False, num_api_servers=1)


if __name__ == "__main__":
    main()
