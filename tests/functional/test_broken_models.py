"""A press with three models that work and three that cannot be used, each for a reason of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.functional.backends import Embedded
from tests.functional.stack import Stack, running
from tests.support.servers.api_servers import ROOT

SLOW = 300
"""Seconds: torch is imported, and six models are tried."""

NAMES = ("failing", "flux", "without-part", "sd15", "damaged", "sdxl")
GOOD = ("flux", "sd15", "sdxl")
REASONS = {
    "without-part": "lacks the folder vae",
    "damaged": "are damaged",
    "failing": "fails when it is tried",
}

pytestmark = pytest.mark.timeout(SLOW)


@pytest.fixture(scope="module")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("models")
    program = "import pathlib, sys; from tests.support.engine.broken_models import save_models as save; "
    program += "save(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, check=True)  # torch is not wanted here
    settings = {
        "PRESSROOM_MODELS": ",".join(str(folder / name) for name in NAMES),
        "PRESSROOM_DEVICE": "cpu",
    }
    with running(Embedded(), settings=settings, patience_seconds=SLOW) as started:
        yield started


def test_the_models_that_work_print(stack: Stack) -> None:
    client = stack.client()
    jobs = stack.settle([client.order(model=name) for name in GOOD], SLOW)
    assert [job.status for job in jobs] == ["succeeded"] * len(GOOD)


def test_the_api_says_why_the_others_cannot_be_used(stack: Stack) -> None:
    models = {model["id"]: model for model in stack.client().http.get("/v1/models").json()["data"]}
    assert [name for name in NAMES if models[name]["available"]] == list(GOOD)
    for name, reason in REASONS.items():
        assert reason in models[name]["unavailable_reason"]


def test_a_job_for_one_of_the_others_is_refused_with_the_reason(stack: Stack) -> None:
    problem = stack.client().post("/v1/jobs", status=503, prompt="a fox", model="damaged")
    assert REASONS["damaged"] in problem["detail"]


def test_the_console_says_why_the_others_cannot_be_used(stack: Stack) -> None:
    with httpx2.Client(base_url=stack.settings.base_url, trust_env=False, follow_redirects=True) as browser:
        page = browser.get("/console").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        form = {"key": stack.client().key} | ({"csrf_token": token[1]} if token else {})
        browser.post("/console/sign-in", data=form)
        shown = browser.get("/console/models").text
    for reason in REASONS.values():
        assert reason in shown


def test_doctor_says_why_the_others_cannot_be_used(stack: Stack) -> None:
    program = Path(sys.executable).with_name("pressroom")
    done = subprocess.run(
        [program, "doctor", "--json"], env=stack.environ, capture_output=True, text=True, timeout=SLOW, check=False
    )
    assert done.returncode == 1, done.stderr
    for reason in REASONS.values():
        assert reason in done.stdout
