"""Shared training code: warm-up and cosine rate, averaged weights, and checkpoints that resume exactly."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from worker.starter.muon import Muon, split_parameters

Network = TypeVar("Network", bound=nn.Module)
Loss = Callable[[int, torch.Generator], torch.Tensor]


def compute_learning_rates(
    step: int, steps: int, peaks: tuple[float, float], warm_up: int = 100
) -> tuple[float, float]:
    """Return both rates: up over the warm-up, then down a cosine to a fiftieth (Loshchilov & Hutter 2016)."""
    rise = min(1.0, (step + 1) / warm_up)
    fall = 0.51 + 0.49 * math.cos(math.pi * min(1.0, step / steps))
    return peaks[0] * rise * fall, peaks[1] * rise * fall


def create_generator(seed: int, step: int) -> torch.Generator:
    """Return a generator seeded by the seed and the step alone, so that a resumed run repeats the same numbers."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


class MovingAverage(Generic[Network]):
    """An exponential moving average of weights (Polyak), which is exported: it is steadier than the last step."""

    def __init__(self, network: Network, decay: float) -> None:
        """Start from a copy of the network as it is."""
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network, faster in the first steps than later."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)


class Run(Generic[Network]):
    """A network with its optimizer, average, step and losses: the contents of a checkpoint."""

    def __init__(self, network: Network, path: Path, outermost: tuple[str, ...], decay: float = 0.998) -> None:
        """Start at step 0, or where the checkpoint at the path ends."""
        self.network = network
        self.path = path
        self.average = MovingAverage(network, decay)
        matrices, others = split_parameters(network, outermost)
        self.optimizers = (Muon(matrices), torch.optim.AdamW(others, betas=(0.9, 0.99), weight_decay=0.01))
        self.step = 0
        self.losses: list[tuple[int, float]] = []
        if path.exists():
            self.resume()

    def go_on(self, loss: Loss, steps: int, peaks: tuple[float, float], seed: int, until: float) -> None:
        """Train until the last step or the deadline (time.monotonic); save about every minute."""
        saved_at = time.monotonic()
        while self.step < steps and time.monotonic() < until:
            value = loss(self.step, create_generator(seed, self.step))
            self.apply(value, compute_learning_rates(self.step, steps, peaks))
            if self.step % 20 == 0:
                self.losses.append((self.step, value.item()))
                print(f"{self.path.stem} step {self.step} loss {value.item():.4f}", flush=True)
            if time.monotonic() - saved_at > 60:
                self.save()
                saved_at = time.monotonic()
        self.save()

    def apply(self, loss: torch.Tensor, rates: tuple[float, float]) -> None:
        """Step both optimizers at their rates (Muon's first): gradients are cut at norm 1, the average follows."""
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.average.follow(self.network, self.step)
        self.step += 1

    def save(self) -> None:
        """Write the checkpoint to a temporary file and rename it, so that a kill never leaves a partial one."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "losses": self.losses,
        }
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)

    def resume(self) -> None:
        """Restore everything from the checkpoint."""
        state: dict[str, Any] = torch.load(self.path, weights_only=True, map_location="cpu")
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step = state["step"]
        self.losses = [(int(step), float(loss)) for step, loss in state["losses"]]
