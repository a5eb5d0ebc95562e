"""A press marks and signs what it prints, asks the hook, and publishes nothing where either is wanting."""

import hashlib
import io
import shlex
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import c2pa
import pytest
from PIL import Image as Pillow
from pydantic import SecretStr

from common.clock import utcnow
from common.db.engine import Database
from common.errors import ProvenanceUnavailableError
from common.images import certificates as image_certificates
from common.images.certificates import resolve_default_folder
from common.jobs.request import OutputFormat
from common.states.jobs import ImageStatus, JobStatus, Outcome, Verdict
from tests.support import certificates, factories
from tests.support.press_fixture import PressFixture, open_press_fixture
from worker.pictures import signing
from worker.press import runner

FORMATS = [form.value for form in OutputFormat]
PIXELS = {"png": (b"IDAT", 40), "jpeg": (b"\xff\xda", 40), "webp": (b"VP8 ", 60)}
"""Where the packed pixels of a file begin: after how many bytes from which on."""


@pytest.fixture
def press_fixture(sqlite_database: Database, tmp_path: Path) -> PressFixture:
    """Open a press fixture on SQLite: these tests do not depend on the kind of database."""
    return open_press_fixture(sqlite_database, tmp_path)


def equip(press_fixture: PressFixture, **changes: Any) -> PressFixture:
    return replace(press_fixture, settings=press_fixture.settings.model_copy(update=changes))


def print_all(press_fixture: PressFixture, **request: Any) -> Any:
    """Have a press print one job, with as many attempts as it takes; return the job as it ended."""
    job = factories.submit(press_fixture.database, request=request)
    with press_fixture.press() as press:
        for _ in range(3):
            runner.run_next_job(press)
            factories.make_due(press_fixture.database, job.id)
    return factories.read(press_fixture.database, job.id)


@pytest.mark.parametrize("form", FORMATS)
def test_every_image_is_published_signed_with_the_digest_of_the_signed_file(
    press_fixture: PressFixture, form: str
) -> None:
    press_fixture = equip(press_fixture, provenance="required")
    certificates.make(resolve_default_folder(press_fixture.settings))
    job = print_all(press_fixture, output_format=form, num_images=2)
    for image in press_fixture.images(job.id):
        data = press_fixture.storage.get(image.storage_key or "")
        assert image.signed
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (image.sha256, image.bytes)
        assert c2pa.Reader(f"image/{form}", io.BytesIO(data)).get_validation_state() == "Valid"
        thumbnail = press_fixture.storage.get(image.thumbnail_key or "")
        for each in (data, thumbnail):
            with Pillow.open(io.BytesIO(each)) as opened:
                assert b"trainedAlgorithmicMedia" in opened.info["xmp"]
    press_fixture.check()


def test_one_flipped_pixel_breaks_the_manifest_of_each_format(press_fixture: PressFixture) -> None:
    press_fixture = equip(press_fixture, provenance="required")
    certificates.make(resolve_default_folder(press_fixture.settings))
    for form in FORMATS:
        (image,) = press_fixture.images(print_all(press_fixture, output_format=form).id)
        data = bytearray(press_fixture.storage.get(image.storage_key or ""))
        sign, offset = PIXELS[form]
        data[data.rindex(sign) + offset] ^= 1
        reader = c2pa.Reader(f"image/{form}", io.BytesIO(bytes(data)))
        assert reader.get_validation_state() == "Invalid", form
        failures = (reader.get_validation_results() or {})["activeManifest"]["failure"]
        assert "assertion.dataHash.mismatch" in {failure["code"] for failure in failures}


def test_without_a_certificate_an_image_is_published_marked_as_unsigned(press_fixture: PressFixture) -> None:
    (image,) = press_fixture.images(print_all(press_fixture).id)
    assert (image.status, image.signed) == (ImageStatus.DELIVERED, False)
    assert b"trainedAlgorithmicMedia" in press_fixture.storage.get(image.storage_key or "")
    press_fixture.check()


def test_f60_where_signing_is_required_a_press_without_a_certificate_takes_no_work(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database)
    with pytest.raises(ProvenanceUnavailableError), equip(press_fixture, provenance="required").press():
        pass
    assert factories.read(press_fixture.database, job.id).status is JobStatus.QUEUED


@pytest.mark.parametrize(("mode", "status"), [("required", JobStatus.FAILED), ("auto", JobStatus.SUCCEEDED)])
def test_f60_an_expiring_certificate_stops_only_the_jobs_that_must_be_signed(
    press_fixture: PressFixture, mode: str, status: JobStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_fixture = equip(press_fixture, provenance=mode)
    certificates.make(resolve_default_folder(press_fixture.settings), days=1)
    job = factories.submit(press_fixture.database)
    with press_fixture.press() as press:
        for module in (image_certificates, signing):
            monkeypatch.setattr(module, "utcnow", lambda: utcnow() + timedelta(days=2))
        for _ in range(3):
            runner.run_next_job(press)
            factories.make_due(press_fixture.database, job.id)
    row = factories.read(press_fixture.database, job.id)
    assert row.status is status
    if status is JobStatus.FAILED:
        assert (row.error_code, row.error_retryable) == ("provenance_unavailable", True)
        assert {attempt.outcome for attempt in press_fixture.attempts(job.id)} == {Outcome.RETRIED, Outcome.FAILED}
        assert list(press_fixture.storage.list_keys("")) == [], "no object can be read"
    else:
        assert [image.signed for image in press_fixture.images(job.id)] == [False]
    press_fixture.check()


def hook(tmp_path: Path, program: str) -> str:
    script = tmp_path / "hook.py"
    script.write_text(program)
    return shlex.join([sys.executable, str(script)])


def test_the_hook_receives_exactly_the_published_file(press_fixture: PressFixture, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = f"import pathlib, sys; pathlib.Path({str(seen)!r}).write_bytes(sys.stdin.buffer.read())"
    press_fixture = equip(press_fixture, publication_hook=SecretStr(hook(tmp_path, program)))
    (image,) = press_fixture.images(print_all(press_fixture).id)
    assert hashlib.sha256(seen.read_bytes()).hexdigest() == image.sha256
    press_fixture.check()


def test_an_image_refused_by_the_hook_is_blocked_for_that_reason_and_not_kept(
    press_fixture: PressFixture, tmp_path: Path
) -> None:
    press_fixture = equip(
        press_fixture, publication_hook=SecretStr(hook(tmp_path, "raise SystemExit(3)")), quarantine="keep"
    )
    job = print_all(press_fixture)
    assert (job.status, job.error_code, job.error_retryable) == (JobStatus.FAILED, "content_blocked", False)
    (image,) = press_fixture.images(job.id)
    assert (image.status, image.verdict, image.safety["reason"]) == (ImageStatus.BLOCKED, Verdict.BLOCK, "hook")
    assert (image.amount, image.storage_key, image.sha256) == (0, None, None)
    assert list(press_fixture.storage.list_keys("")) == []
    press_fixture.check()


def test_nothing_is_published_when_the_hook_gives_no_answer(press_fixture: PressFixture, tmp_path: Path) -> None:
    press_fixture = equip(press_fixture, publication_hook=SecretStr(hook(tmp_path, "raise SystemExit(1)")))
    job = print_all(press_fixture)
    assert (job.status, job.error_code, job.error_retryable) == (JobStatus.FAILED, "safety_unavailable", True)
    assert [attempt.outcome for attempt in press_fixture.attempts(job.id)] == [
        Outcome.RETRIED,
        Outcome.RETRIED,
        Outcome.FAILED,
    ]
    assert list(press_fixture.storage.list_keys("")) == []
    press_fixture.check()
