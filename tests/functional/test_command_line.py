"""The command line against the running stack, as a person would use it."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from common.images.provenance import DIGITAL_SOURCE_TYPE, PNG_XMP_KEYWORD
from tests.functional.stack import Stack

PROGRAM = Path(sys.executable).with_name("pressroom")
SMALL = ("--width", "64", "--height", "64", "--steps", "2")


@pytest.fixture(scope="module", params=["embedded"])
def backend_name(request: pytest.FixtureRequest) -> str:
    """One backend is enough: the command line sees only the api."""
    return request.param


@pytest.fixture
def environ(stack: Stack) -> Iterator[dict[str, str]]:
    """The variables of a user with a key; the jobs that the user submits are collected afterwards."""
    client = stack.client("mary")
    yield stack.environ | {"PRESSROOM_API_KEY": client.key}
    client.accepted[:] = [job["id"] for job in client.http.get("/v1/jobs", params={"limit": 100}).json()["data"]]


@pytest.fixture
def busy_press(stack: Stack) -> Iterator[None]:
    """Half a minute of urgent work for the press, so that a bulk job stays queued until the test cancels it."""
    client = stack.client()
    blocking = [client.order(steps=150, num_images=8) for _ in range(4)]
    yield
    for job_id in blocking:
        client.http.post(f"/v1/jobs/{job_id}/cancel")


def run(environ: dict[str, str], *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([PROGRAM, *words], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    return done


def test_a_job_is_waited_for_and_its_images_are_saved(environ: dict[str, str], tmp_path: Path) -> None:
    done = run(environ, "submit", "a fox", *SMALL, "--num-images", "2", "--seed", "7", "--out", str(tmp_path / "out"))
    files = [Path(line) for line in done.stdout.splitlines()]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert len(files) == 2
    for file in files:
        with Image.open(file) as picture:
            assert picture.size == (64, 64)
            assert DIGITAL_SOURCE_TYPE in picture.info[PNG_XMP_KEYWORD]


def test_other_users_can_read_nothing_that_the_stack_writes(environ: dict[str, str]) -> None:
    home = Path(environ["PRESSROOM_HOME"])
    found = [path for path in (home, *home.rglob("*")) if path.exists() and not path.is_socket()]
    assert {"pressroom.db", "secret_key", "valkey", "images"} <= {path.name for path in found}
    assert {path.name: oct(path.stat().st_mode) for path in found if path.stat().st_mode & 0o077} == {}


def test_a_job_may_start_from_files(environ: dict[str, str], tmp_path: Path) -> None:
    init, mask = tmp_path / "init.jpg", tmp_path / "mask.png"
    Image.new("RGB", (100, 80), "navy").save(init)
    Image.linear_gradient("L").resize((64, 64)).save(mask)
    given = ("--init-image", str(init), "--mask", str(mask), "--strength", "0.5")
    job = json.loads(run(environ, "submit", "a fox", *SMALL, *given, "--wait", "--json").stdout)
    assert (job["status"], job["request"]["strength"]) == ("succeeded", 0.5)
    assert job["request"]["init_image"] != job["request"]["mask_image"]
    mask.write_text("no picture")
    assert "must be a single, non-animated image" in run(environ, "submit", "a fox", *given, status=1).stderr


@pytest.mark.usefixtures("busy_press")
def test_a_job_that_is_not_waited_for_can_be_shown_and_canceled(environ: dict[str, str]) -> None:
    job_id = run(environ, "submit", "a slow fox", "--priority", "bulk").stdout.strip()
    assert job_id in run(environ, "jobs", "list").stdout
    assert "a slow fox" in run(environ, "jobs", "show", job_id).stdout
    run(environ, "jobs", "cancel", job_id)
    assert json.loads(run(environ, "jobs", "show", job_id, "--json").stdout)["status"] == "canceled"
    listed = json.loads(run(environ, "jobs", "list", "--status", "canceled", "--json").stdout)
    assert [job["id"] for job in listed] == [job_id]


def test_a_job_is_watched_to_its_end(environ: dict[str, str]) -> None:
    job_id = run(environ, "submit", "a heron", "--width", "64", "--height", "64", "--steps", "30").stdout.strip()
    shown = run(environ, "jobs", "watch", job_id).stdout
    assert job_id in shown
    assert "succeeded" in shown
    assert "/files/" in shown
    run(environ, "jobs", "watch", job_id)


@pytest.mark.usefixtures("busy_press")
def test_watching_a_canceled_job_exits_with_an_error(environ: dict[str, str]) -> None:
    canceled = run(environ, "submit", "a slow heron", "--priority", "bulk").stdout.strip()
    run(environ, "jobs", "cancel", canceled)
    assert json.loads(run(environ, "jobs", "watch", canceled, "--json", status=1).stdout)["status"] == "canceled"


def test_styles_are_created_listed_and_shown(environ: dict[str, str]) -> None:
    colours = ("--colour", "#ff8800", "--suffix", ", soft light")
    assert run(environ, "styles", "create", "bright", *colours, *SMALL).stdout == "bright@1\n"
    assert "bright@1" in run(environ, "styles", "list").stdout
    assert json.loads(run(environ, "styles", "show", "bright", "--json").stdout)["palette"] == ["#ff8800"]
    assert "#ff8800" in run(environ, "styles", "show", "bright").stdout
    versions = json.loads(run(environ, "styles", "versions", "bright", "--json").stdout)
    assert [each["reference"] for each in versions] == ["bright@1"]


def test_a_campaign_is_run_from_a_file_to_a_folder_of_results(
    stack: Stack, environ: dict[str, str], tmp_path: Path
) -> None:
    stack.client("mary").post(
        "/v1/styles", status=201, name="festive", width=64, height=64, steps=2, palette=["#ff8800"]
    )
    people, out = tmp_path / "people.csv", tmp_path / "out"
    people.write_text("recipient_id,name\nann,Ann\nbob,Bob\ncid,\n")
    asked = ("--template", "a card for {{ name }}", "--budget", "5", "--style", "festive", "--out", str(out))
    done = run(environ, "campaign", "run", str(people), *asked, "--proofs", "1", "--links", "--yes", "--json")
    campaign = json.loads(done.stdout)
    assert (campaign["status"], campaign["progress"]["prints"]["printed"]) == ("completed", 2)
    for told in ("2 of 3 rows accepted", "row 3: name is empty", "2 images will cost about"):
        assert told in done.stderr
    saved = {file.name for file in out.iterdir()}
    assert saved == {"contact-sheet.png", "errors.csv", "pictures", "proofs", "results.csv"}
    assert {file.name for file in (out / "pictures").iterdir()} == {"ann-0.png", "bob-0.png"}
    rows = list(csv.DictReader((out / "results.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert {row["style"] for row in rows} == {"festive@1"}
    assert all("/p/" in row["link"] and row["palette_score"] for row in rows)


def test_rows_that_were_corrected_are_appended_approved_and_printed(environ: dict[str, str], tmp_path: Path) -> None:
    people, out = tmp_path / "people.csv", tmp_path / "out"
    people.write_text("recipient_id,name\nann,Ann\nbob,\n")
    asked = ("--template", "a card for {{ name }}", "--budget", "5", "--out", str(out))
    done = run(environ, "campaign", "run", str(people), *asked, "--proofs", "0", "--yes", "--json")
    campaign_id = json.loads(done.stdout)["id"]
    corrected = out / "errors.csv"
    corrected.write_text(corrected.read_text(encoding="utf-8-sig").replace("bob,,", "bob,Bob,"))
    run(environ, "campaign", "append", campaign_id, str(corrected), "--out", str(out))
    run(environ, "campaign", "approve", campaign_id)
    assert "2 printed" in run(environ, "campaign", "watch", campaign_id).stdout
    run(environ, "campaign", "results", campaign_id, "--out", str(out), "--names", "card {list} {row}")
    assert {file.name for file in (out / "pictures").iterdir()} == {"card 1 1.png", "card 2 1.png"}


def test_a_campaign_is_not_printed_without_confirmation(environ: dict[str, str], tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("name\nAnn\nBob\n")
    asked = (
        "campaign",
        "run",
        str(people),
        "--template",
        "a card for {{ name }}",
        "--budget",
        "5",
        "--out",
        str(tmp_path),
    )
    done = run(environ, *asked, "--proofs", "0", status=1)
    (campaign_id,) = re.findall(r"pressroom campaign approve (\S+)", done.stderr)
    shown = json.loads(run(environ, "campaign", "show", campaign_id, "--json").stdout)
    assert (shown["status"], shown["budget"]["spent"], shown["progress"]["prints"]["ordered"]) == ("ready", "0", 0)
    assert "is canceled" in run(environ, "campaign", "cancel", campaign_id).stderr
    people.write_text("nmae\nAnn\n")
    assert "name" in run(environ, *asked, status=1).stderr
    assert "Supported extensions" in run(environ, *asked[:2], str(Path(__file__)), *asked[3:], status=1).stderr


@pytest.mark.usefixtures("busy_press")
def test_jobs_are_retried(environ: dict[str, str]) -> None:
    first = run(environ, "submit", "a slow owl", "--priority", "bulk").stdout.strip()
    assert json.loads(run(environ, "jobs", "cancel", first, "--json").stdout)[0]["status"] == "canceled"
    again = run(environ, "jobs", "retry", first).stdout.strip()
    assert json.loads(run(environ, "jobs", "show", again, "--json").stdout)["retry_of"] == first
    run(environ, "jobs", "cancel", again)


def test_images_are_listed_downloaded_and_deleted(environ: dict[str, str], tmp_path: Path) -> None:
    job = json.loads(run(environ, "submit", "an owl", *SMALL, "--num-images", "2", "--wait", "--json").stdout)
    of_job, out = ("--job", job["id"]), tmp_path / "out"
    listed = json.loads(run(environ, "images", "list", *of_job, "--json").stdout)
    assert {each["job_id"] for each in listed} == {job["id"]}
    assert "64 × 64" in run(environ, "images", "list", *of_job, "--from", "2020-01-01").stdout
    done = run(environ, "images", "download", *of_job, "--out", str(out))
    assert sorted(map(Path, done.stdout.splitlines())) == sorted(out.iterdir())
    assert len(listed) == len(done.stdout.splitlines()) == 2
    whole, broken = sorted(out.iterdir())
    before = whole.stat().st_mtime_ns
    broken.write_bytes(b"cut short")
    run(environ, "images", "download", *(image["id"] for image in listed), "--out", str(out), "--json")
    assert whole.stat().st_mtime_ns == before, "it was there, and was fetched again"
    with Image.open(broken) as picture:
        assert picture.size == (64, 64)
    ids = [image["id"] for image in listed]
    assert "Permanently delete 2 images?" in run(environ, "images", "delete", *ids, status=1).stderr
    assert json.loads(run(environ, "images", "delete", *ids, "--yes", "--json").stdout) == {"deleted": ids}
    assert json.loads(run(environ, "images", "list", *of_job, "--json").stdout) == []
    assert len(json.loads(run(environ, "images", "list", *of_job, "--status", "erased", "--json").stdout)) == 2
    assert "is not a date or time" in run(environ, "images", "list", "--from", "soon", status=2).stderr


def test_the_overview_is_printed_once_without_a_terminal(environ: dict[str, str]) -> None:
    assert "waiting" in run(environ, "top").stdout
    overview = json.loads(run(environ, "top", "--json").stdout)
    assert (overview["object"], overview["all_owners"]) == ("overview", False)
    operator = run(environ, "keys", "create", "--name", "h", "--scope", "jobs:read", "--scope", "usage:all").stdout
    seen = environ | {"PRESSROOM_API_KEY": operator.strip()}
    assert len(json.loads(run(seen, "top", "--json").stdout)["presses"]) >= 1
    assert "accelerator" in run(seen, "top", "--once").stdout


def test_usage_is_printed_as_table_csv_and_json(environ: dict[str, str]) -> None:
    run(environ, "submit", "an owl", *SMALL, "--wait")
    total = json.loads(run(environ, "usage", "--by", "model", "--json").stdout)["total"]
    assert total["images"] >= 1
    rows = list(csv.DictReader(run(environ, "usage", "--by", "model", "--csv").stdout.splitlines()))
    assert [row["model"] for row in rows] == ["painted", "total"]
    assert {int(row["images"]) for row in rows} == {total["images"]}
    assert {(float(row["charged"]) > 0, row["currency"]) for row in rows} == {(True, total["charged"][0]["currency"])}
    assert "total" in run(environ, "usage", "--from", "2020-01-01").stdout
    assert "usage:all" in run(environ, "usage", "--all", status=1).stderr


def test_webhooks_are_created_tested_and_deleted(environ: dict[str, str]) -> None:
    made = json.loads(run(environ, "webhooks", "create", "https://hooks.example/a", "--json").stdout)
    assert made["secret"].startswith("whsec_")
    delivery = json.loads(run(environ, "webhooks", "test", made["id"], "--json").stdout)
    listed = json.loads(run(environ, "webhooks", "deliveries", made["id"], "--json").stdout)
    assert [each["id"] for each in listed] == [delivery["id"]]
    assert delivery["id"] in run(environ, "webhooks", "deliveries", made["id"]).stdout
    assert run(environ, "webhooks", "rotate", made["id"]).stdout.startswith("whsec_")
    assert "is disabled" in run(environ, "webhooks", "disable", made["id"]).stderr
    assert "is enabled" in run(environ, "webhooks", "enable", made["id"]).stderr
    assert "hooks.example" in run(environ, "webhooks", "list").stdout
    run(environ, "webhooks", "delete", made["id"], status=1)
    run(environ, "webhooks", "delete", made["id"], "--yes")
    assert json.loads(run(environ, "webhooks", "list", "--json").stdout) == []


def test_the_models_on_offer_are_listed(environ: dict[str, str]) -> None:
    assert [each["id"] for each in json.loads(run(environ, "models", "list", "--json").stdout)] == ["painted"]
    assert "512 × 512" in run(environ, "models", "list").stdout


def test_only_json_is_written_to_standard_output(environ: dict[str, str]) -> None:
    job = json.loads(run(environ, "submit", "an owl", *SMALL, "--wait", "--json").stdout)
    assert job["status"] == "succeeded"


def test_an_invalid_request_is_refused_in_one_sentence(environ: dict[str, str]) -> None:
    done = run(environ, "submit", "a fox", "--width", "7", status=1)
    assert done.stderr.startswith("Error: /width must be ")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_key_is_reported_in_one_sentence(environ: dict[str, str]) -> None:
    done = run(environ | {"PRESSROOM_API_KEY": "prk_wrong"}, "jobs", "list", status=1)
    assert done.stderr.startswith("Error: Invalid API key")


def test_doctor_finds_nothing_wrong_with_a_running_stack(environ: dict[str, str]) -> None:
    findings = json.loads(run(environ, "doctor", "--json").stdout)
    grades = {finding["name"]: finding["grade"] for finding in findings}
    assert grades.pop("provenance") == "warning", "there is no certificate to sign with"
    assert set(grades.values()) == {"sound"}


def test_a_second_stack_on_the_same_data_is_refused(environ: dict[str, str]) -> None:
    done = run(environ, "up", status=78)
    assert "is already running in" in done.stderr


def test_a_port_in_use_is_reported_in_one_sentence(environ: dict[str, str], tmp_path: Path) -> None:
    done = run(environ | {"PRESSROOM_HOME": str(tmp_path)}, "up", status=78)
    assert done.stderr.startswith(
        f"Error: The api cannot listen on {environ['PRESSROOM_BIND']}: address already in use"
    )


def test_the_demo_prints_ten_pictures_and_a_campaign_and_leaves_only_them(tmp_path: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "PRESSROOM_HOME": str(tmp_path),
        "PRESSROOM_MODELS": "painted",
        "PRESSROOM_PAINTED_STEP_SECONDS": "0",
    }
    done = subprocess.run([PROGRAM, "demo"], env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    (pictures,) = (tmp_path / "demo").iterdir()
    assert len(list(pictures.glob("*-seed-*.png"))) == 10
    with Image.open(pictures / "contact-sheet.png") as sheet:
        assert DIGITAL_SOURCE_TYPE in sheet.info[PNG_XMP_KEYWORD]
    assert done.stdout.count(" pass ") == 10
    campaign = pictures / "campaign"
    assert len(list((campaign / "pictures").iterdir())) == 24
    rows = list(csv.DictReader((campaign / "results.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert {row["status"] for row in rows} == {"printed"}
    assert [row["picture"] for row in rows].count("shared") == 1, "two people asked for the same"
