"""Training in pieces is the same as training in one go, and an interrupted save loses nothing."""

import time

import pytest
import torch
from torch import nn

from worker.starter import muon, training

FOREVER = float("inf")


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 1))


def start(path):
    return training.Run(build(), path, ("0.weight", "4.weight"))


def go_on(run, steps, until=FOREVER):
    def loss(step, dice):
        return (run.network(torch.rand((2, 3, 9, 9), generator=dice)) - 0.5).square().mean()

    run.go_on(loss, steps, (0.01, 0.001), 7, until)


def test_a_run_in_two_pieces_ends_where_one_run_ends(tmp_path):
    whole = start(tmp_path / "whole.pt")
    go_on(whole, 30)
    first = start(tmp_path / "pieces.pt")
    first.go_on(lambda *_: None, 0, (0.01, 0.001), 7, FOREVER)
    stopped = iter([0.0] * 11 + [9.0] * 99)
    real, time.monotonic = time.monotonic, lambda: next(stopped)
    try:
        go_on(first, 30, until=1.0)
    finally:
        time.monotonic = real
    assert 0 < first.step < 30
    second = start(tmp_path / "pieces.pt")
    assert second.step == first.step
    go_on(second, 30)
    for weight, other in zip(whole.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(weight, other)
    for weight, other in zip(whole.average.network.parameters(), second.average.network.parameters(), strict=True):
        assert torch.equal(weight, other)
    assert whole.losses == second.losses


def test_a_kill_while_saving_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    run = start(tmp_path / "run.pt")
    go_on(run, 5)

    def killed(state, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        go_on(run, 9)
    assert start(tmp_path / "run.pt").step == 5


def test_the_rates_rise_then_fall():
    peaks = (0.02, 0.001)
    rates = [training.compute_learning_rates(step, 1000, peaks)[0] for step in (0, 99, 500, 999)]
    assert rates[0] < rates[2] < rates[1] <= 0.02
    assert rates[3] == pytest.approx(0.0004, rel=0.01)


def test_an_orthogonalized_matrix_stretches_all_directions_about_equally():
    matrix = torch.randn(12, 40, generator=torch.Generator().manual_seed(1)) * torch.logspace(0, 2, 12)[:, None]
    strengths = torch.linalg.svdvals(muon.orthogonalize_matrix(matrix))
    assert strengths.max() < 1.3
    assert strengths.min() > 0.15  # from a hundredth: three rounds are quick, not exact
