"""The api process is light: it imports neither the press nor what only a press needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "diffusers", "transformers", "onnxruntime", "numpy", "PIL", "worker", "boto3", "schemathesis")


@pytest.mark.parametrize("module", ["api.wsgi", "api.gunicorn_conf"])
def test_the_api_imports_nothing_that_only_a_press_needs(module: str, tmp_path: Path) -> None:
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    environ = {"PYTHONPATH": str(ROOT), "PRESSROOM_HOME": str(tmp_path), "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, check=True, text=True)
    imported = {name.partition(".")[0] for name in json.loads(ran.stdout)}
    assert imported.isdisjoint(HEAVY)
    assert "common" in imported


def test_the_client_of_the_command_line_imports_no_database(tmp_path: Path) -> None:
    program = "import json, sys, common.cli.client; print(json.dumps(sorted(sys.modules)))"
    environ = {"PYTHONPATH": str(ROOT), "PRESSROOM_HOME": str(tmp_path), "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, check=True, text=True)
    assert {"sqlalchemy", "celery", "flask"}.isdisjoint(json.loads(ran.stdout)), "it would take three times as long"


def test_a_wrong_setting_is_reported_in_one_line(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": str(ROOT), "PRESSROOM_HOME": str(tmp_path), "PRESSROOM_BINDD": "x", "PATH": ""}
    ran = subprocess.run([sys.executable, "-m", "api.wsgi"], env=environ, capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stderr) == (
        78,
        "PRESSROOM_BINDD is not a setting of Pressroom; did you mean PRESSROOM_BIND?\n",
    )
