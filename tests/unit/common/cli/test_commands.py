import json
import subprocess
import sys
from contextlib import nullcontext

import pytest
from click.testing import CliRunner, Result

from common.access.keys import TENANT_SCOPES
from common.cli import COMMANDS, EXIT_BAD_SETTINGS, client, pressroom
from common.cli.commands.submit import submit
from common.cli.output import print_table
from common.settings import EXIT_BAD_SETTINGS as EXIT_OF_SETTINGS


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRESSROOM_HOME", str(tmp_path))
    monkeypatch.setenv("PRESSROOM_MODELS", "painted")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(pressroom, words)


def run_apart(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "common.cli", *words], capture_output=True, text=True, check=False)


def test_help_lists_every_command_and_each_has_its_own():
    listed = run("--help").output
    for name in COMMANDS:
        assert f"  {name} " in listed
        assert run(name, "--help").exit_code == 0


def test_help_imports_no_command():
    script = (
        "import sys; import common.cli; print([n for n in sys.modules if n in ('sqlalchemy', 'pydantic', 'httpx2')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_exit_status_of_bad_settings_is_the_one_of_every_process():
    assert EXIT_BAD_SETTINGS == EXIT_OF_SETTINGS


def test_a_misspelt_setting_ends_with_one_sentence(monkeypatch):
    monkeypatch.setenv("PRESSROOM_HOEM", "x")
    done = run_apart("migrate")
    assert done.returncode == EXIT_BAD_SETTINGS
    assert done.stderr == "Error: PRESSROOM_HOEM is not a setting of Pressroom; did you mean PRESSROOM_HOME?\n"


def test_a_key_is_printed_alone_listed_without_its_secret_and_revoked(home):
    assert run("migrate").exit_code == 0
    made = run("keys", "create", "--name", "shop", "--owner", "ada")
    key = made.stdout.strip()
    assert made.stdout == f"{key}\n"
    assert key.startswith("prk_")
    (row,) = json.loads(run("keys", "list", "--json").stdout)
    assert (row["name"], row["owner"], row["revoked_at"]) == ("shop", "ada", None)
    assert key.rpartition("_")[2] not in run("keys", "list").stdout
    assert run("keys", "revoke", row["id"]).exit_code == 0
    assert run("keys", "revoke", row["id"]).exit_code == 1
    (row,) = json.loads(run("keys", "list", "--json").stdout)
    assert row["revoked_at"] is not None


def test_only_a_key_that_is_made_for_it_may_see_the_usage_of_all(home):
    run("migrate")
    run("keys", "create", "--name", "shop")
    run("keys", "create", "--name", "operator", "--scope", "usage:all", "--scope", "usage:read")
    shop, operator = json.loads(run("keys", "list", "--json").stdout)
    assert "usage:all" not in shop["scopes"]
    assert shop["scopes"] == [*TENANT_SCOPES]
    assert operator["scopes"] == ["usage:all", "usage:read"]
    assert run("keys", "create", "--name", "x", "--scope", "everything").exit_code == 2


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a\nb", "x" * 65, "é"])
def test_a_name_that_cannot_be_part_of_a_path_is_refused(home, name):
    assert run("keys", "create", "--name", name).exit_code == 2


def test_keys_need_a_migrated_database(home):
    done = run_apart("keys", "list")
    assert done.returncode == 1
    assert "yet; run `pressroom migrate`." in done.stderr


def test_a_command_without_a_key_says_how_to_create_one(home):
    done = run_apart("submit", "a fox")
    assert done.returncode == EXIT_BAD_SETTINGS
    assert done.stderr.startswith("Error: PRESSROOM_API_KEY is not set. Create a key with `pressroom keys create")


def test_an_unreachable_api_is_reported_in_one_sentence(home, monkeypatch):
    monkeypatch.setenv("PRESSROOM_API_KEY", "prk_key")
    monkeypatch.setenv("PRESSROOM_API_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(client, "FIRST_PATIENCE_SECONDS", 0)
    assert "does not respond" in str(run("jobs", "list").exception)


def test_a_table_lines_up(capsys):
    print_table(["name", "n"], [["a", 1], ["long name", 12], [None, 3]])
    assert capsys.readouterr().out == "name        n\n─────────  ──\na           1\nlong name  12\n–           3\n"


def test_an_empty_table_prints_its_titles(capsys):
    print_table(["name", "n"], [])
    assert capsys.readouterr().out == "name  n\n────  ─\n"


def test_the_database_can_be_migrated_where_there_is_no_model(home, monkeypatch):
    monkeypatch.setenv("PRESSROOM_MODELS", str(home / "none"))
    assert run("migrate").exit_code == 0


@pytest.mark.parametrize(
    ("words", "adapters"),
    [
        (["--adapter", "ink"], [{"name": "ink"}]),
        (
            ["--adapter", "ink:0.8", "--adapter", "oil.2:-1"],
            [{"name": "ink", "scale": 0.8}, {"name": "oil.2", "scale": -1.0}],
        ),
        ([], []),
    ],
)
def test_adapters_are_named_with_their_scales(words, adapters):
    assert list(submit.make_context("submit", ["a fox", *words]).params["adapters"]) == adapters


@pytest.mark.parametrize("scale", ["", "much", "nan", "inf", "1:2"])
def test_a_scale_that_is_not_a_number_is_refused(home, scale):
    assert "is not a number" in run("submit", "a fox", "--adapter", f"ink:{scale}").output


class OneJobClient:
    """A service that answers every submission with one job."""

    def __init__(self, **fields):
        self._fields = fields

    def submit(self, body):
        return {"id": "01", "status": "queued"} | self._fields


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ({"read": 38, "dropped": 12}, "The model reads the first 38 tokens of this prompt; 12 are left out.\n"),
        ({"read": 38, "dropped": 1}, "The model reads the first 38 tokens of this prompt; 1 is left out.\n"),
        ({"read": 38, "dropped": 0}, ""),
        (None, ""),
    ],
)
def test_whoever_submits_a_prompt_that_is_too_long_is_told_so(monkeypatch, tokens, said):
    answered = OneJobClient(prompt_tokens=tokens)
    monkeypatch.setattr("common.cli.commands.submit.connect_client", lambda: nullcontext(answered))
    done = run("submit", "a fox")
    assert (done.stdout, done.stderr) == ("01\n", said)
