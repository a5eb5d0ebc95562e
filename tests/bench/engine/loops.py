"""Bare loops as contestants: one or several processes that do nothing but call the pipeline."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common.models.catalog import ModelCard


class Loops:
    """Loops that run side by side; they load while others do, and are warm before anything is timed."""

    def __init__(self, title: str, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._title = title
        self._processes = processes
        self._is_warm = False

    def warm(self) -> None:
        """Wait until all have loaded and printed once."""
        if not self._is_warm and any(_read(process).strip() != "ready" for process in self._processes):
            raise RuntimeError(f"the loop of {self._title} did not start")
        self._is_warm = True

    def take(self, images: int) -> float:
        """Have them print so many images between them; return the seconds until the last is done."""
        self.warm()
        began = time.perf_counter()
        for place, process in enumerate(self._processes):
            assert process.stdin is not None
            process.stdin.write(f"{(images + place) // len(self._processes)}\n")
            process.stdin.flush()
        for process in self._processes:
            _read(process)
        return time.perf_counter() - began


@contextmanager
def running(card: ModelCard, directory: Path, *, loops: int = 1, torch_threads: int = 1) -> Iterator[Loops]:
    """Yield so many loops, each in a process of its own, which may still be loading."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.engine.bare_loop",
        str(directory),
        "--torch-threads",
        str(torch_threads),
    ]
    command += ["--steps", str(card.default_steps), "--guidance-scale", str(card.default_guidance_scale)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            )
            for _ in range(loops)
        ]
        try:
            yield Loops(str(directory), processes)
        finally:
            for process in processes:
                assert process.stdin is not None
                process.stdin.close()


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
