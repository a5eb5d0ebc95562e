import json
import os
import subprocess
import sys

import pytest

from common.models.catalog import PAINTED_CARD
from common.settings import PREFIX

PAINTED_CARD_AS_JSON = PAINTED_CARD.model_dump(mode="json", exclude_none=True)
UNCHECKED = {"CHECKER": "none", "SAFETY_OFF_ACKNOWLEDGED": "true"}


@pytest.fixture
def examine(tmp_path):
    def run(*options, **settings):
        environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environ |= {PREFIX + name: str(value) for name, value in settings.items()} | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "worker.selftest", *options]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=100)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, [line for line in lines if line["ok"] is not None], done.stderr

    return run


def test_working_parts_pass_the_self_test(examine):
    status, results, _ = examine(MODELS="painted")
    assert status == 0
    assert results == [
        {"part": "model", "name": "painted", "ok": True, "fault": None, "remedy": None, "card": PAINTED_CARD_AS_JSON},
        {"part": "checker", "name": "open_nsfw", "ok": True, "fault": None, "remedy": None, "card": None},
    ]


def test_the_models_can_be_tested_alone(examine):
    _, results, _ = examine("--models-only", MODELS="painted")
    assert [result["part"] for result in results] == ["model"]


def test_each_fault_is_reported_with_a_remedy(examine, tmp_path):
    status, results, _ = examine(MODELS=tmp_path / "nowhere", **UNCHECKED)
    assert status == 1
    model, checker = results
    assert "not a diffusers model" in model["fault"]
    assert "PRESSROOM_MODELS" in model["remedy"]
    assert checker["ok"]


def test_a_default_model_that_is_not_offered_is_reported(examine):
    status, results, _ = examine(MODELS="painted", DEFAULT_MODEL="other", CHECKER="scripted")
    assert (status, [result["ok"] for result in results]) == (1, [True, False, True])
    assert "PRESSROOM_DEFAULT_MODEL" in results[1]["fault"]


def test_invalid_settings_are_refused(examine):
    status, results, stderr = examine(MODELLS="x")
    assert (status, results) == (78, [])
    assert "PRESSROOM_MODELS" in stderr


@pytest.mark.timeout(120)
def test_a_corrupt_model_is_named(examine, tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}'
    )
    (tmp_path / "unet" / "model.safetensors").write_bytes(b"garbage")
    status, results, _ = examine(MODELS=tmp_path, **UNCHECKED)
    assert status == 1
    assert "damaged" in results[0]["fault"]
    assert "model.safetensors" in results[0]["fault"]
