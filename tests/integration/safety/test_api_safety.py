"""What an api key may ask of the safety check, and which prompts are not taken."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from common.access import keys
from common.cli import pressroom
from common.db.engine import Database
from common.safety.policy import PolicyOverrides, Recourse, ReviewAction
from common.tables import Job, PromptRefusals
from tests.support.apis import Api, open_api

RULES = """
[[rules]]
category = "gribble"
words = [["gribble"]]
"""


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    return open_api(database, tmp_path / "home", prompt_rules=rules, safety_review_action="blur")


def refuse(api: Api, status: int, code: str, **fields: Any) -> dict[str, Any]:
    """Ask for a job, expect to be refused, and return the problem."""
    key = fields.pop("key", "")
    answer = api.post("/v1/jobs", json={"prompt": "a lighthouse"} | fields, key=key)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert api.count_jobs() == 0
    return answer.json


@pytest.mark.parametrize(
    "safety",
    [
        "off", False, None, [], 0, {"mode": "off"}, {"enabled": False}, {"review_above": 0.21}, {"block_above": 0.9},
        {"review_above": 1}, {"review_action": "flag"}, {"block_above": 0.5, "review_action": "flag"},
    ],
)  # fmt: skip
def test_row_57_no_request_can_weaken_the_operators_policy(api: Api, safety: Any) -> None:
    refuse(api, 403, "safety_not_configurable", safety=safety)


@pytest.mark.parametrize(
    ("safety", "code"),
    [
        ({"block_above": 1.5}, "out_of_range"), ({"block_above": -1}, "out_of_range"), ({"block_above": "0.1"}, "type"),
        ({"review_action": "smile"}, "enum"), ({"on_block": "shrug"}, "enum"),
        ({"on_block": "fallback"}, "incompatible"),
    ],
)  # fmt: skip
def test_an_inconsistent_policy_is_refused(api: Api, safety: Any, code: str) -> None:
    refuse(api, 422, code, safety=safety)


def test_a_job_may_ask_for_a_stricter_policy_and_shows_it(api: Api) -> None:
    job = api.make_job(safety={"block_above": 0.1, "review_action": "block", "on_block": "reroll"})
    assert job["request"]["safety"] == {
        "mode": "on", "review_above": 0.1, "block_above": 0.1, "review_action": "block", "on_block": "reroll",
    }  # fmt: skip


def test_the_policy_that_a_job_shows_can_be_sent_again(api: Api) -> None:
    shown = api.make_job(safety={"block_above": 0.3})["request"]["safety"]
    assert api.make_job(safety=shown)["request"]["safety"] == shown


def test_a_job_that_asks_for_nothing_shows_the_operators_policy(api: Api) -> None:
    assert api.make_job()["request"]["safety"] == {
        "mode": "on", "review_above": 0.2, "block_above": 0.8, "review_action": "blur", "on_block": "fail",
    }  # fmt: skip


def test_the_policy_of_a_key_applies_to_its_jobs_and_to_keys_it_creates(api: Api) -> None:
    fields = PolicyOverrides(block_above=0.5, review_action=ReviewAction.BLOCK, on_block=Recourse.REROLL)
    with api.database.transaction() as session:
        strict = keys.create_api_key(session, "strict", "ada", tuple(keys.Scope), safety=fields)
    made = api.post("/v1/keys", json={"name": "child", "scopes": ["jobs:write"]}, key=strict).json["key"]
    for key in (strict, made):
        refuse(api, 403, "safety_not_configurable", safety={"block_above": 0.6}, key=key)
    answer = api.post("/v1/jobs", json={"prompt": "a lighthouse", "safety": {"review_above": 0.05}}, key=made)
    assert answer.json["request"]["safety"] == {
        "mode": "on", "review_above": 0.05, "block_above": 0.5, "review_action": "block", "on_block": "reroll",
    }  # fmt: skip


def test_jobs_show_that_safety_is_switched_off(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path, checker=("none",), safety_off_acknowledged=True)
    assert api.make_job()["request"]["safety"]["mode"] == "off"
    refuse_on = api.post("/v1/jobs", json={"prompt": "a lighthouse", "safety": {"mode": "on"}})
    assert (refuse_on.status_code, refuse_on.json["errors"][0]["pointer"]) == (422, "/safety/mode")


def test_row_58_a_prompt_against_the_rules_is_refused_by_its_category_alone_and_counted(api: Api) -> None:
    for field in ("prompt", "negative_prompt"):
        problem = refuse(api, 422, "prompt_rejected", **{field: "a Grіbble on the secret beach"})
        assert "gribble" in problem["detail"]
        assert "beach" not in str(problem)
    with api.database.reading() as session:
        (counted,) = session.scalars(select(PromptRefusals))
    assert (counted.owner, counted.category, counted.count) == ("ada", "gribble", 2)


def test_the_prompt_moby_dick_is_allowed(api: Api) -> None:
    api.make_job(prompt="Moby Dick and Dick Van Dyke in Scunthorpe, with pussy willow")


def test_a_retry_is_checked_against_the_current_prompt_rules(api: Api) -> None:
    job = api.make_job()
    api.post(f"/v1/jobs/{job['id']}/cancel")
    with api.database.transaction() as session:
        row = session.get_one(Job, session.scalars(select(Job.id)).one())
        row.request = row.request | {"prompt": "a gribble"}
    assert api.post(f"/v1/jobs/{job['id']}/retry").json["code"] == "prompt_rejected"


def test_the_command_line_creates_stricter_keys_and_no_laxer_ones(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESSROOM_DATABASE_URL", database.url.render_as_string(hide_password=False))
    strict = CliRunner().invoke(pressroom, ["keys", "create", "--name", "ada", "--block-above", "0.5"])
    assert strict.exit_code == 0, strict.output
    with database.reading() as session:
        (row,) = keys.list_api_keys(session)
    assert row.safety == {"block_above": 0.5}
    lax = CliRunner().invoke(pressroom, ["keys", "create", "--name", "bob", "--block-above", "0.9"])
    assert lax.exit_code != 0
    assert "--block-above" in lax.output
    with database.reading() as session:
        assert len(keys.list_api_keys(session)) == 1
