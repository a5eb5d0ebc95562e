"""The Muon optimizer (Jordan et al. 2024): momentum whose matrices are orthogonalized before they are applied.

All directions of a weight matrix then move equally far, the rare ones too. Biases, norms, embeddings and the
outermost layers are left to AdamW, as its authors advise.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonalize_matrix(matrix: Tensor, rounds: int = 3) -> Tensor:
    """Bring all singular values to about 1, by Newton-Schulz rounds (no decomposition needed)."""
    a, b, c = 3.4445, -4.7750, 2.0315  # the authors' coefficients: fast rather than exact
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(rounds):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide


class Muon(torch.optim.Optimizer):
    """Muon over weights of two or more dimensions; convolutions count as matrices of outputs by all else."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float = 0.02, momentum: float = 0.95) -> None:
        """Take the rate as the length of each step's update, in orthogonal matrices."""
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # we never pass a closure
        """Apply one update to every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "speed" not in state:
                    state["speed"] = torch.zeros_like(weight)
                speed = state["speed"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(speed, group["momentum"])
                update = orthogonalize_matrix(ahead.flatten(1))
                stretch = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                weight.add_(update.view_as(weight), alpha=-group["lr"] * stretch)


def split_parameters(network: nn.Module, outermost: tuple[str, ...]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the weights into those for Muon and those for AdamW: vectors, embeddings and the named outermost layers."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in network.named_parameters():
        outer = "embed" in name or any(part in name for part in outermost)
        (others if weight.ndim < 2 or outer else matrices).append(weight)
    return matrices, others
