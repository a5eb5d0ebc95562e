"""Each broken part is named, in one plain sentence with a remedy."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from common.cli.diagnostics import (
    Finding,
    Grade,
    Role,
    check_broker,
    examine_adapters,
    examine_api,
    examine_links,
    examine_press,
    examine_provenance,
    examine_services,
    run_diagnostics,
)
from common.images.certificates import resolve_default_folder
from common.models.catalog import STARTER
from common.settings import Settings
from tests.faults.support import scripted_s3
from tests.support import certificates


@pytest.fixture
def environ(tmp_path, sqlite_url, redis_url) -> dict[str, str]:
    """The variables of a machine on which all is well."""
    return {
        "PATH": os.environ["PATH"],
        "PRESSROOM_HOME": str(tmp_path / "home"),
        "PRESSROOM_DATABASE_URL": sqlite_url,
        "PRESSROOM_REDIS_URL": redis_url,
        "PRESSROOM_MODELS": "painted",
        "PRESSROOM_CHECKER": "none",
        "PRESSROOM_SAFETY_OFF_ACKNOWLEDGED": "true",
        "PRESSROOM_API_URL": "http://127.0.0.1:1",
    }


def read(environ: dict[str, str]) -> Settings:
    return Settings.from_environ({name: value for name, value in environ.items() if name.startswith("PRESSROOM_")})


def the_fault(findings: Iterable[Finding]) -> Finding:
    """Return the only fault, which must be a sentence with a remedy."""
    (fault,) = [finding for finding in findings if finding.grade is Grade.FAULT]
    assert fault.sentence.endswith(".")
    assert "\n" not in fault.sentence
    assert fault.remedy
    return fault


def test_a_healthy_machine_has_no_fault(environ):
    assert {finding.name: finding.grade for finding in run_diagnostics(read(environ), environ)} == {
        "database": Grade.SOUND,
        "broker": Grade.SOUND,
        "storage": Grade.SOUND,
        "retention": Grade.SOUND,
        "links": Grade.SOUND,
        "model": Grade.SOUND,
        "checker": Grade.SOUND,
        "provenance": Grade.WARNING,
        "api": Grade.WARNING,
    }


def test_a_broker_that_is_not_running_yet_is_no_fault_when_embedded(environ):
    del environ["PRESSROOM_REDIS_URL"]
    assert check_broker(read(environ)).startswith("`pressroom up` will start ")


def test_a_wrong_port_of_redis_is_named(environ):
    fault = the_fault(examine_services(read(environ | {"PRESSROOM_REDIS_URL": "redis://:secret-word@127.0.0.1:1/0"})))
    assert fault.name == "broker"
    assert "127.0.0.1:1" in fault.sentence
    assert "secret-word" not in fault.sentence


def test_a_wrong_port_of_the_database_is_named(environ):
    fault = the_fault(
        examine_services(
            read(environ | {"PRESSROOM_DATABASE_URL": "postgresql://ada:secret-word@127.0.0.1:1/pressroom"})
        )
    )
    assert fault.name == "database"
    assert "127.0.0.1:1" in fault.sentence
    assert "secret-word" not in fault.sentence


def test_a_database_that_was_never_migrated_is_named(environ, tmp_path):
    fault = the_fault(
        examine_services(read(environ | {"PRESSROOM_DATABASE_URL": f"sqlite:///{tmp_path / 'other.db'}"}))
    )
    assert "run `pressroom migrate`" in fault.sentence
    assert (fault.remedy or "").startswith("Run `pressroom migrate`")


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (Role.API, {"database", "broker", "storage", "links", "api"}),
        (Role.PRESS, {"database", "broker", "storage", "model", "checker", "provenance"}),
        (Role.CLERK, {"database", "broker", "storage", "retention"}),
    ],
)
def test_only_what_a_role_needs_is_checked(environ, role, names):
    findings = list(run_diagnostics(read(environ), environ, role))
    assert {finding.name for finding in findings} == names
    assert Grade.FAULT not in {finding.grade for finding in findings}


def test_links_to_an_address_that_only_clients_reach_are_a_warning(environ, monkeypatch, s3):
    bucket = environ | s3.environ | {"PRESSROOM_S3_PUBLIC_ENDPOINT": "http://127.0.0.1:1"}
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    findings = {finding.name: finding.grade for finding in run_diagnostics(read(bucket), bucket, Role.API)}
    assert findings == {
        "database": Grade.SOUND,
        "broker": Grade.SOUND,
        "storage": Grade.SOUND,
        "links": Grade.WARNING,
        "api": Grade.WARNING,
    }


def test_links_that_need_no_signature_are_a_fault(environ, monkeypatch):
    with scripted_s3.serving(monkeypatch.setenv) as (_, storage):
        monkeypatch.setattr("common.cli.diagnostics.open_storage", lambda _: storage)
        finding = examine_links(read(environ))
    assert finding.grade is Grade.FAULT
    assert finding.remedy


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "STORAGE_URL"])
def test_an_invalid_url_is_named(environ, name):
    assert (
        f"PRESSROOM_{name}" in the_fault(examine_services(read(environ | {f"PRESSROOM_{name}": "nonsense"}))).sentence
    )


def test_a_directory_that_cannot_be_written_is_named(environ, tmp_path):
    # Not by its mode: root may write everywhere.
    (tmp_path / "file").write_text("in the way")
    fault = the_fault(examine_services(read(environ | {"PRESSROOM_STORAGE_URL": f"file:{tmp_path}/file/images"})))
    assert fault.name == "storage"
    assert f"{tmp_path}/file/images cannot be written" in fault.sentence


def copy_model(directory: Path) -> Path:
    return shutil.copytree(STARTER, directory / "model")


def examine_models(environ: dict[str, str]) -> Iterator[Finding]:
    return examine_press(read(environ), environ)


def test_a_missing_model_is_named(environ, tmp_path):
    fault = the_fault(examine_models(environ | {"PRESSROOM_MODELS": f"{tmp_path}/nowhere"}))
    assert fault.name == "model"
    assert f"{tmp_path}/nowhere" in fault.sentence


def test_a_missing_file_of_a_model_is_named(environ, tmp_path):
    model = copy_model(tmp_path)
    shutil.rmtree(model / "unet")
    fault = the_fault(examine_models(environ | {"PRESSROOM_MODELS": str(model)}))
    assert fault.name == "model"
    assert "unet" in fault.sentence


def test_a_damaged_file_of_a_model_is_named(environ, tmp_path):
    model = copy_model(tmp_path)
    (weights,) = (model / "unet").glob("*.safetensors")
    os.truncate(weights, weights.stat().st_size // 2)
    fault = the_fault(examine_models(environ | {"PRESSROOM_MODELS": str(model)}))
    assert fault.name == "model"
    assert weights.name in fault.sentence


def test_adapters_are_listed_and_skipped_ones_are_no_fault(environ, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"")
    (tmp_path / "old.pt").write_bytes(b"")
    findings = list(examine_adapters(read(environ | {"PRESSROOM_ADAPTERS": str(tmp_path)})))
    assert [finding.grade for finding in findings] == [Grade.SOUND, Grade.WARNING, Grade.WARNING]
    assert "broken.safetensors" in findings[1].sentence
    assert "old.pt" in findings[2].sentence


def test_a_directory_of_adapters_that_is_not_there_is_named(environ, tmp_path):
    fault = the_fault(examine_adapters(read(environ | {"PRESSROOM_ADAPTERS": f"{tmp_path}/nowhere"})))
    assert f"{tmp_path}/nowhere" in fault.sentence


def test_another_server_does_not_pass_for_the_api(s3):
    finding = examine_api(Settings(api_url=s3.endpoint))
    assert finding.grade is Grade.WARNING


def test_a_fault_sets_the_exit_status_and_json_lists_all(environ):
    command = [sys.executable, "-m", "common.cli", "doctor", "--json"]
    broken = environ | {"PRESSROOM_REDIS_URL": "nonsense"}
    done = subprocess.run(command, env=broken, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert {finding["name"] for finding in json.loads(done.stdout)} >= {"database", "broker", "storage", "model"}


@pytest.mark.parametrize(
    ("words", "days", "grade", "part"),
    [
        ({}, None, Grade.WARNING, "not signed"),
        ({"PRESSROOM_PROVENANCE": "required"}, None, Grade.FAULT, "Signing is required but not available"),
        ({"PRESSROOM_PROVENANCE": "off"}, None, Grade.SOUND, "not signed"),
        ({"PRESSROOM_PROVENANCE": "required"}, 300, Grade.SOUND, "signed until"),
        ({}, 3, Grade.WARNING, "signed until"),
        ({"PRESSROOM_PROVENANCE": "required"}, -1, Grade.FAULT, "is valid from"),
    ],
)
def test_doctor_reports_whether_images_will_be_signed_and_for_how_long(environ, words, days, grade, part):
    settings = read(environ | words)
    if days is not None:
        certificates.make(resolve_default_folder(settings), days=400, made=timedelta(days=400 - days))
    finding = examine_provenance(settings)
    assert finding.grade is grade
    assert part in finding.sentence
    assert (finding.remedy is None) == (grade is Grade.SOUND)
