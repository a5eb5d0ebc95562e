"""Checker for any torch network: self-test, a dedicated thread, and only finite scores."""

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import torch
from PIL import Image

from common.errors import PressroomError, SafetyUnavailableError
from worker.checkers.interface import Finding, Thresholds
from worker.self_test_image import draw_gradient, flatten_alpha

SELF_TEST = Thresholds(review=0.2, block=0.8)
CLIMB_STEPS = 100
CLIMB_RATE = 0.02
"""Step size, as a fraction of the range from black to white."""

T = TypeVar("T")


class Network(Protocol):
    """Interface that a network must implement to serve as a checker."""

    @property
    def name(self) -> str:
        """Return the checker's name."""

    @property
    def digest(self) -> str:
        """Return the SHA-256 digest of the weights; available once loaded."""

    def load(self, device: torch.device) -> None:
        """Load the weights; raise SafetyUnavailableError unless they are complete and trusted."""

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """Return the network input [1, 3, height, width] for an RGB image."""

    def measure(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return a number that rises with suspicion and is differentiable with respect to *pixels*."""

    def score(self, measured: float) -> float:
        """Convert a finite measure to a score from 0 to 1."""


class NetworkChecker:
    """Score images with one network."""

    def __init__(self, network: Network, thresholds: Thresholds, device: torch.device) -> None:
        self._network = network
        self._thresholds = thresholds
        self._device = device
        self._lane = TorchThread()
        self._is_fit = False

    def load(self) -> None:
        """Load the weights and run the self-test: pass a gradient and reject noise derived from it."""
        self._lane.run(self._load)

    @property
    def policy(self) -> dict[str, Any]:
        """Return the network's name and digest and the current thresholds."""
        thresholds = {"review": self._thresholds.review, "block": self._thresholds.block}
        return {"checker": self._network.name, "digest": self._network.digest, "thresholds": thresholds}

    def check(self, picture: Image.Image) -> Finding:
        """Return the finding for *picture*, composited on white where it is transparent."""
        if not self._is_fit:
            raise SafetyUnavailableError("The safety checker is not loaded.")
        score = self._lane.run(lambda: self._score(self._prepare(flatten_alpha(picture))))
        return Finding(self._thresholds.judge(score), {self._network.name: score}, **self.policy)

    def _load(self) -> None:
        name = self._network.name
        try:
            self._network.load(self._device)
            pixels = self._prepare(draw_gradient())
            passed = self._score(pixels)
            refused = self._climb(pixels)
        except PressroomError:
            raise
        except Exception as error:  # torch and transformers raise their own types; all mean: no check
            raise SafetyUnavailableError(f"The checker {name} cannot be loaded: {type(error).__name__}.") from error
        if passed >= SELF_TEST.review or refused < SELF_TEST.block:
            raise SafetyUnavailableError(
                f"The checker {name} failed its self-test: {passed:.2f} for a gradient, "
                f"{refused:.2f} for the image it should score highest."
            )
        self._is_fit = True

    def _prepare(self, picture: Image.Image) -> torch.Tensor:
        return self._network.prepare(picture).to(self._device)

    def _score(self, pixels: torch.Tensor) -> float:
        measured = float(self._network.measure(pixels))
        if not math.isfinite(measured):
            raise SafetyUnavailableError(f"The checker {self._network.name} returned the invalid value {measured}.")
        return self._network.score(measured)

    def _climb(self, start: torch.Tensor) -> float:
        """Return the highest score reached from *start* by gradient ascent: noise that the network should reject.

        This tests rejection without storing any explicit image.
        """
        dark, bright = self._prepare(Image.new("RGB", (64, 64))), self._prepare(Image.new("RGB", (64, 64), "white"))
        pixels, best = start.clone(), 0.0
        for _ in range(CLIMB_STEPS):
            with torch.enable_grad():
                pixels = pixels.detach().requires_grad_()
                (slope,) = torch.autograd.grad(self._network.measure(pixels), pixels)
            step = CLIMB_RATE * (bright - dark) * slope.sign()
            pixels = (pixels.detach() + step).clamp(torch.minimum(dark, bright), torch.maximum(dark, bright))
            best = max(best, self._score(pixels))
            if best >= SELF_TEST.block:
                break
        return best


class TorchThread:
    """Run submitted calls one at a time on a thread of its own, with gradients off and one core for torch."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        # A daemon thread, unlike pool threads: a network that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[], T]) -> T:
        """Run *call* on the thread; return its result or raise its exception."""
        answer: Future[T] = Future()
        self._calls.put((call, answer))
        return answer.result()

    def _work(self) -> None:
        _limit_to_one_core()
        with torch.no_grad():
            while True:
                call, answer = self._calls.get()
                try:
                    answer.set_result(call())
                except BaseException as error:  # noqa: BLE001  (raised again in the waiting thread)
                    answer.set_exception(error)
                del call, answer


def _limit_to_one_core() -> None:
    # torch keeps a number per thread and a default for new threads; another thread restores that default.
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    restorer = threading.Thread(target=torch.set_num_threads, args=(usual,))
    restorer.start()
    restorer.join()
