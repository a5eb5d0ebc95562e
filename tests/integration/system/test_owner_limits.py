"""What an owner can create and keep has a limit, after which a request is refused with a code of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api.jobs.schemas import NewJob
from api.web.errors import MOST_FAULTS
from common.access.keys import Scope
from common.db.engine import Database
from tests.support.apis import Api, open_api

LIMITS = {"max_keys": 3, "max_styles": 2, "max_campaigns": 2}
CAMPAIGN = {"name": "May", "template": {"prompt": "a fox"}, "budget": {"amount": "1"}}


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    opened = open_api(database, tmp_path, **LIMITS)
    opened.key = opened.make_key("eve", tuple(Scope))
    return opened


def create_key(api: Api, number: int) -> TestResponse:
    return api.post("/v1/keys", json={"name": f"key {number}"})


def create_style(api: Api, number: int) -> TestResponse:
    return api.post("/v1/styles", json={"name": "plain", "steps": number + 1})


def create_campaign(api: Api, number: int) -> TestResponse:
    return api.post("/v1/campaigns", json=CAMPAIGN, headers={"Idempotency-Key": str(number)})


@pytest.mark.parametrize(
    ("create", "room", "code"),
    [
        (create_key, 2, "too_many_api_keys"),
        (create_style, 2, "too_many_styles"),
        (create_campaign, 2, "too_many_campaigns"),
    ],
)
def test_no_more_than_the_limit_is_created(
    api: Api, create: Callable[[Api, int], TestResponse], room: int, code: str
) -> None:
    for number in range(room):
        answer = create(api, number)
        assert answer.status_code == 201, answer.text
    refused = create(api, room)
    assert (refused.status_code, refused.json["code"]) == (422, code)
    assert "maximum" in refused.json["detail"]
    assert create(api, room).status_code == 422, "a refused request left nothing"


def test_a_revoked_key_makes_room(api: Api) -> None:
    made: list[Any] = [create_key(api, number).json for number in range(2)]
    assert create_key(api, 2).status_code == 422
    assert api.call("DELETE", f"/v1/keys/{made[0]['id']}").status_code == 204
    assert create_key(api, 3).status_code == 201


def test_what_exists_already_is_returned_at_the_limit(api: Api) -> None:
    for number in range(2):
        create_style(api, number)
        create_campaign(api, number)
    assert create_style(api, 1).status_code == 200, "the newest version again"
    again = create_campaign(api, 1)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")


def test_a_campaign_that_has_ended_makes_room(api: Api) -> None:
    made = [create_campaign(api, number).json["id"] for number in range(2)]
    answer = api.post(f"/v1/campaigns/{made[0]}/cancel")
    assert answer.status_code in (200, 202), answer.text
    assert create_campaign(api, 2).status_code == 201


def test_of_thousands_of_faults_no_more_are_looked_at_than_are_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    described, describe = [], NewJob._describe

    def note(fault: Any) -> Any:
        described.append(fault)
        return describe(fault)

    monkeypatch.setattr(NewJob, "_describe", note)
    body = {f"field{number}": 1 for number in range(16_000)}
    assert len(NewJob._drop_unknown_fields(body | {"steps": 1})) == MOST_FAULTS + 1
    answer = api.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json["code"], len(answer.json["errors"])) == (
        422,
        "invalid_request",
        MOST_FAULTS,
    )
    assert len(described) == MOST_FAULTS
    answer = api.post("/v1/jobs", json={"metadata": body})
    assert (answer.status_code, answer.json["code"]) == (400, "too_many_keys")


def test_the_templates_of_a_campaign_are_bounded_together(api: Api) -> None:
    variants = [{"name": f"v{number}", "template": {"prompt": "x" * 9_000}} for number in range(8)]
    answer = api.post("/v1/campaigns", json=CAMPAIGN | {"variants": variants})
    assert (answer.status_code, answer.json["code"]) == (422, "too_long")
