import json
import shutil

import pytest
from click.testing import CliRunner, Result

from common.cli import pressroom
from common.cli.commands import models
from common.errors import ModelUnavailableError
from common.models.catalog import STARTER

TRY_MODEL = models.try_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PRESSROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PRESSROOM_MODELS", "painted")
    monkeypatch.setattr(models, "try_model", lambda directory: None)  # loading takes seconds
    return tmp_path


@pytest.fixture
def copy(folder):
    return shutil.copytree(STARTER, folder / "my-model")


def run(*words: str) -> Result:
    return CliRunner().invoke(pressroom, ["models", *words])


def test_a_model_directory_is_identified_by_its_contents(copy):
    done = run("check", str(copy))
    assert done.exit_code == 0
    assert "sd15" in done.stdout
    shown = json.loads(run("check", str(copy), "--json").stdout)
    assert (shown["card"]["name"], shown["fault"]) == ("my-model", None)


def test_a_model_that_fails_when_it_is_tried_is_not_passed(copy, monkeypatch):
    def fail(directory):
        raise ModelUnavailableError("The model fails when it is tried.")

    monkeypatch.setattr(models, "try_model", fail)
    done = run("check", str(copy))
    assert done.exit_code == 1
    assert "fails when it is tried" in done.stderr
    assert "sd15" in done.stdout
    assert "fails when it is tried" in str(run("add", str(copy)).exception)


def test_a_part_that_is_missing_is_named(copy):
    shutil.rmtree(copy / "vae")
    done = run("check", str(copy))
    assert done.exit_code == 1
    assert "lacks the folder vae" in done.stderr
    assert "sd15" in done.stdout, "what it is can be told all the same"
    assert "vae" in json.loads(run("check", str(copy), "--json").stdout)["fault"]


def test_a_directory_without_a_model_is_reported(folder):
    shown = json.loads(run("check", str(folder), "--json").stdout)
    assert shown["card"] is None
    assert "no model_index.json" in shown["fault"]


def test_a_model_is_added_by_the_setting_that_is_printed(copy, monkeypatch):
    assert run("add", str(copy)).stdout == f"PRESSROOM_MODELS={copy}\n"
    monkeypatch.setenv("PRESSROOM_MODELS", str(STARTER))
    added = json.loads(run("add", str(copy), "--json").stdout)
    assert added == {"name": "my-model", "setting": "PRESSROOM_MODELS", "value": f"{STARTER},{copy}"}
    monkeypatch.setenv("PRESSROOM_MODELS", added["value"])
    assert json.loads(run("add", str(copy), "--json").stdout) == added


@pytest.mark.parametrize(
    ("name", "words"), [("painted", "reserved"), ("a,b", "commas"), (",", "commas"), ("model ", "ending in a space")]
)
def test_a_directory_whose_name_no_press_can_offer_is_refused(copy, name, words):
    renamed = copy.rename(copy.parent / name)
    done = run("check", str(renamed))
    assert done.exit_code == 1
    assert words in done.stderr
    assert words in json.loads(run("check", str(renamed), "--json").stdout)["fault"]
    assert words in str(run("add", str(renamed)).exception)


def test_the_first_part_that_fails_says_why_a_model_cannot_be_served(copy, monkeypatch):
    results = [{"ok": False, "fault": "It is damaged."}, {"ok": False, "fault": "Nothing is offered."}]
    monkeypatch.setattr(models, "try_model", TRY_MODEL)
    monkeypatch.setattr(models, "list_missing_packages", list)
    monkeypatch.setattr(models, "run_selftest", lambda *_: iter(results))
    assert "It is damaged." in run("check", str(copy)).stderr


def test_an_unusable_model_is_not_added(copy, monkeypatch):
    (copy / "unet" / "more.py").write_text("")
    assert "contains code" in str(run("add", str(copy)).exception)
    (copy / "unet" / "more.py").unlink()
    twin = shutil.copytree(copy, copy.parent / "elsewhere" / "my-model")
    monkeypatch.setenv("PRESSROOM_MODELS", str(twin))
    assert "two models" in str(run("add", str(copy)).exception)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion_script(shell):
    done = CliRunner().invoke(pressroom, ["completion", shell])
    assert done.exit_code == 0
    assert "_PRESSROOM_COMPLETE" in done.stdout


def test_commands_are_completed():
    environ = {"_PRESSROOM_COMPLETE": "bash_complete", "COMP_WORDS": "pressroom webh", "COMP_CWORD": "1"}
    done = CliRunner().invoke(pressroom, [], env=environ, prog_name="pressroom")
    assert done.stdout == "plain,webhooks\n"
