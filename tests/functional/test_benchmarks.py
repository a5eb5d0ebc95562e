# ruff: noqa: PLC0415  (torch and matplotlib take seconds to import, and collecting tests should not)
"""Every benchmark runs from end to end with the smallest numbers; what it measures here means nothing."""

import json
from pathlib import Path

import pytest

from tests.bench.outcome import Outcome, Table

# The libraries that are compared warn of their own; matplotlib, diffusers and LitServe's parts are not ours to mend.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from tests.support.engine import tiny_pipelines

    torch.set_num_threads(1)
    return tiny_pipelines.save("sd15", tmp_path_factory.mktemp("models") / "tiny")


def hold(folder: Path, name: str, tables: int) -> dict:
    """Return what a benchmark wrote, which is as many tables and a picture."""
    written = json.loads((folder / f"{name}.json").read_text())
    assert len(written["tables"]) == tables
    assert all(len(row) == len(table["columns"]) for table in written["tables"] for row in table["rows"])
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    return written["figures"]


def test_random_arrivals_are_played_by_all_three_schedulers(tmp_path: Path) -> None:
    from tests.bench.engine import arrivals

    arrivals.main(["--orders", "20", "--seeds", "1", "--loads", "1", "--real", "2", "--out", str(tmp_path)])
    (medians,) = hold(tmp_path, "arrivals", 2)["medians"].values()
    assert set(medians) == {"one at a time", "dynamic", "continuous"}


def test_virtual_time_replays_the_same_arrivals_identically() -> None:
    from tests.bench.engine.continuous import serve_continuously
    from tests.bench.engine.queueing import draw_orders

    orders = draw_orders(30, 1.4, seed=3)
    assert serve_continuously(orders).figures() == serve_continuously(orders).figures()


def test_at_full_load_continuous_batching_waits_a_fifth_less_than_dynamic_and_delivers_no_less() -> None:
    from tests.bench.engine import arrivals

    # In virtual time: this is arithmetic, not speed.
    ran = {name: arrivals.middle(runs) for name, runs in arrivals.play(1.0, 500, range(1, 6)).items()}
    assert ran["continuous"]["p95"] <= 0.8 * ran["dynamic"]["p95"]
    assert ran["continuous"]["throughput"] >= ran["dynamic"]["throughput"]


def test_publishing_is_measured_in_its_parts(tmp_path: Path) -> None:
    from tests.bench.service import publishing

    publishing.main(["--times", "1", "--sides", "64,128", "--out", str(tmp_path)])
    assert set(hold(tmp_path, "tail", 3)) == {"encoders", "parts", "overlap"}


def test_the_speed_of_retention_is_measured_on_both_storages(tmp_path: Path) -> None:
    from tests.bench.service import retention

    retention.main(["--images", "600", "--out", str(tmp_path)])
    assert set(hold(tmp_path, "retention", 1)) == {"s3", "files"}


def test_the_cost_of_checking_and_marking_is_measured_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.bench.service import marking, service

    monkeypatch.setattr(marking, "STEP_SECONDS", 0.001)
    monkeypatch.setattr(service, "WARM_UP", 1)
    services = f"{marking.NEITHER},{marking.SIGNED}"
    words = ["--rounds", "1", "--images", "2", "--models", "painted", "--services", services]
    marking.main([*words, "--out", str(tmp_path)])
    figures = hold(tmp_path, "marking", 2)
    assert set(figures["rates"]["painted"]) == {marking.LOOP, marking.NEITHER, marking.SIGNED}
    assert {told["c2pa"] for told in figures["readers"].values()} == {"Valid"}


@pytest.mark.parametrize("architecture", ["sd15", "sdxl", "sdxl-lightning", "flux"])
def test_an_architecture_is_measured_without_a_download(architecture: str, tmp_path: Path) -> None:
    from tests.bench.engine import accelerator

    words = ["--tiny", "--device", "cpu", "--variants", "eager", "--batches", "1,2", "--rounds", "1"]
    accelerator.main([architecture, *words, "--out", str(tmp_path)])
    assert set(hold(tmp_path, f"accelerator-{architecture}", 1)["loops"]["eager"]) == {"1", "2"}


def test_the_service_is_measured_against_bare_loops(tiny_model: Path, tmp_path: Path) -> None:
    from tests.bench.service import overhead

    overhead.main(["--rounds", "1", "--images", "2", "--models", str(tiny_model), "--out", str(tmp_path)])
    (figures,) = hold(tmp_path, "overhead", 4).values()
    books = figures["books"]
    assert books["busy"] == pytest.approx(books["booked"] + books["overhead"])


def test_the_service_is_measured_against_its_peers(tiny_model: Path, tmp_path: Path) -> None:
    from tests.bench.service import peers

    words = ["--rounds", "1", "--images", "2", "--orders", "2", "--seeds", "1", "--loads", "0.8", "--threads", "1"]
    peers.main([*words, "--model", str(tiny_model), "--out", str(tmp_path)])
    assert set(hold(tmp_path, "peers", 2)["best_threads"]) == {"Pressroom", "Celery worker", "LitServe"}


def test_the_benchmark_model_draws_pictures_of_its_own_size(tmp_path: Path) -> None:
    from common.models.catalog import read_card
    from tests.bench import models

    card = read_card(models.build(tmp_path))
    assert (card.name, card.default_width, card.default_steps) == ("bench-256", 256, 16)


def test_submission_is_measured_against_a_plain_view(tmp_path: Path) -> None:
    from tests.bench.service import submit

    words = ["--rounds", "2", "--orders", "8", "--connections", "2", "--databases", "sqlite"]
    submit.main([*words, "--out", str(tmp_path)])
    assert set(hold(tmp_path, "submit", 1)["sqlite"]["medians"]) == {submit.OURS, submit.PLAIN}


def test_results_are_reported_as_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.bench import report

    table = Table("Speeds", ["", "images/s"], [["ours", "2.0"], ["theirs", "1.0"]])
    Outcome("trial", {"rounds": 1}, [table], {}).write(tmp_path, lambda path: path.write_bytes(b""))
    capsys.readouterr()
    report.main(["--out", str(tmp_path)])
    assert "| ours | 2.0 |" in capsys.readouterr().out


def test_importing_recipients_is_measured_against_a_plain_loop(tmp_path: Path) -> None:
    from tests.bench.campaigns import campaign

    campaign.main(["--rows", "300", "--plain-rows", "20", "--out", str(tmp_path)])
    figures = hold(tmp_path, "campaign", 1)
    assert set(figures) == {"sqlite", "postgresql"}
    assert all(each["rows_per_second"] > 0 for each in figures.values())


def test_running_campaigns_are_timed(tmp_path: Path) -> None:
    from tests.bench.campaigns import run

    small = {"rows": 30, "people": 30, "urgent": 2, "share": 10, "windows": 1}
    words = [word for name, number in small.items() for word in (f"--{name}", str(number))]
    run.main([*words, "--databases", "sqlite", "--out", str(tmp_path)])
    figures = hold(tmp_path, "campaign_run", 3)
    assert set(figures["ends"]) == {"ada", "eve"}
    assert figures["first_claim_seconds"] > 0


def test_false_blocks_of_a_checker_are_counted(tmp_path: Path) -> None:
    from tests.bench.service import false_blocks
    from worker.self_test_image import DONKEY

    folder = tmp_path / "npm"
    for part in ("fluent-emoji-3d/package/assets", "unicode-emoji-json/package", "emojilib/package/dist"):
        (folder / part).mkdir(parents=True)
    (folder / "fluent-emoji-3d/package/assets/1facf.webp").write_bytes(DONKEY.read_bytes())
    names = {"\U0001facf": {"name": "donkey", "group": "Animals"}}
    (folder / "unicode-emoji-json/package/data-by-emoji.json").write_text(json.dumps(names))
    (folder / "emojilib/package/dist/emoji-en-US.json").write_text(json.dumps({"\U0001facf": ["donkey"]}))
    false_blocks.main(["--folder", str(folder), "--out", str(tmp_path)])
    assert hold(tmp_path, "false_blocks", 1)["scores"]["open_nsfw"]["donkey"] > 0.8
