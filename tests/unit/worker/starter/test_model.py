"""The shipped starter model: complete, small, and drawn by plain diffusers."""

import json
from pathlib import Path

from common.models import catalog

FOLDER = catalog.STARTER


def test_the_catalog_reads_its_card():
    card = catalog.read_card(FOLDER)
    assert (card.name, card.family) == ("starter-1", catalog.Family.SD15)
    assert card.default_width == card.default_height == 128


def test_the_weights_are_at_most_16_megabytes_in_half_precision():
    weights = list(FOLDER.rglob("*.safetensors"))
    assert len(weights) == 3
    assert sum(path.stat().st_size for path in weights) <= 16_000_000
    for path in weights:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F16"}


def test_the_model_needs_nothing_that_an_older_program_lacks():
    index = json.loads((FOLDER / "model_index.json").read_text())
    assert index["safety_checker"] == index["feature_extractor"] == [None, None]
    assert {"vocab.json", "merges.txt"} <= {path.name for path in (FOLDER / "tokenizer").iterdir()}


def test_the_card_carries_the_notice_of_the_training_pictures():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "Copyright (c) Microsoft Corporation." in card
    assert {"samples.png", "loss.png"} <= {path.name for path in Path(FOLDER).glob("*.png")}


def test_plain_diffusers_draws_what_it_was_asked_and_another_seed_another_picture():
    import diffusers  # noqa: PLC0415  (these two take seconds, and the other tests need neither)
    import torch  # noqa: PLC0415

    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(FOLDER, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pictures = []
    for seed in (1, 1, 2):
        dice = torch.Generator().manual_seed(seed)
        asked = {"num_inference_steps": 8, "guidance_scale": 2.0, "generator": dice, "output_type": "np"}
        pictures.append(pipeline("a fox on a blue background", **asked).images[0])
    assert pictures[0].shape == (128, 128, 3)
    assert (pictures[0] == pictures[1]).all()
    assert abs(pictures[0] - pictures[2]).mean() > 0.01
    red, _, blue = pictures[0][:6, :6].mean(axis=(0, 1))
    assert blue > red + 0.2
