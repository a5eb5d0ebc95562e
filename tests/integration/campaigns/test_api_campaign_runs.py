"""``/v1/campaigns/{id}/…``: actions on a campaign over HTTP, its progress, and its webhook events."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from common.campaigns.printing import ordering
from common.clerk import campaigns as duties
from common.db.engine import Database
from common.states.campaigns import CampaignStatus, PrintStatus
from common.states.webhooks import EventType
from common.tables import Campaign, Model, WebhookMessage
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, add_list, names
from tests.support.webhook_fixture import WebhookFixture

HOOK = "https://hooks.example/"


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path, campaign_progress_percent=30)


@pytest.fixture
def campaign_fixture(api: Api) -> CampaignFixture:
    """The clerk and the press behind the api."""
    return CampaignFixture(api.database, api.services.settings)


def act(api: Api, campaign_id: UUID, verb: str, status: int = 200, **options: Any) -> Any:
    answer = api.post(f"/v1/campaigns/{campaign_id}/{verb}", **options)
    assert answer.status_code == status, answer.text
    return answer.json


def look(api: Api, campaign_id: UUID) -> Any:
    answer = api.get(f"/v1/campaigns/{campaign_id}")
    assert answer.status_code == 200, answer.text
    return answer.json


def told(campaign_fixture: CampaignFixture) -> list[dict[str, Any]]:
    with campaign_fixture.database.reading() as session:
        bodies = session.scalars(select(WebhookMessage.body).order_by(WebhookMessage.id)).all()
    return [json.loads(body) for body in bodies]


def test_a_campaign_is_started_paused_resumed_and_canceled(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(5), reservation=PRICE)
    assert act(api, campaign_id, "start")["status"] == "running"
    assert len(api.notifier.notified) == 5
    assert act(api, campaign_id, "pause")["status"] == "paused"
    assert act(api, campaign_id, "resume")["status"] == "running"
    canceled = act(api, campaign_id, "cancel")
    assert (canceled["status"], canceled["progress"]["prints"]["canceled"]) == ("canceled", 5)
    assert act(api, campaign_id, "cancel")["status"] == "canceled"


@pytest.mark.parametrize(
    ("status", "verb"),
    [
        (CampaignStatus.RUNNING, "start"),
        (CampaignStatus.READY, "start"),
        (CampaignStatus.COMPLETED, "cancel"),
        (CampaignStatus.COMPLETED, "pause"),
        (CampaignStatus.CANCELED, "resume"),
        (CampaignStatus.CANCELED, "retry"),
        (CampaignStatus.DRAFT, "proofs"),
    ],
)
def test_an_action_that_the_state_forbids_is_refused_with_the_state(
    api: Api, campaign_fixture: CampaignFixture, status: CampaignStatus, verb: str
) -> None:
    campaign_id = campaign_fixture.campaign(names(1), status=status)
    problem = act(api, campaign_id, verb, 409, **({"json": {}} if verb == "proofs" else {}))
    assert problem["code"] == "invalid_state"
    assert status in problem["detail"]


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "cancel", "retry", "budget", "proofs"])
def test_a_campaign_is_visible_to_its_owner_alone(api: Api, campaign_fixture: CampaignFixture, verb: str) -> None:
    campaign_id = campaign_fixture.campaign(names(1), owner="eve")
    body = {"budget": {"amount": "5"}, "proofs": {}}.get(verb)
    assert act(api, campaign_id, verb, 404, **({} if body is None else {"json": body}))["code"] == "not_found"
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.APPROVED


def test_raising_the_budget_resumes_a_held_campaign(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(4), budget=2 * PRICE, reservation=PRICE)
    act(api, campaign_id, "start")
    campaign_fixture.print_all()
    shown = look(api, campaign_id)
    assert (shown["status"], shown["held_reason"]) == ("held", "budget")
    assert act(api, campaign_id, "budget", 409, json={"amount": "0.01"})["code"] == "budget_too_low"
    assert act(api, campaign_id, "budget", json={"amount": "0.04"})["status"] == "running"
    campaign_fixture.print_all()
    shown = look(api, campaign_id)
    assert (shown["status"], shown["budget"]["spent"]) == ("completed", "0.04")


@pytest.mark.parametrize("amount", ["-1", "NaN", "0", "1e3", ""])
def test_a_budget_must_be_a_valid_amount(api: Api, campaign_fixture: CampaignFixture, amount: str) -> None:
    campaign_id = campaign_fixture.campaign(names(1))
    act(api, campaign_id, "budget", 422, json={"amount": amount})
    assert campaign_fixture.read(campaign_id).budget == Decimal(1000)


def test_blocked_rows_can_be_retried_separately(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=PRICE)
    act(api, campaign_id, "start")
    held = campaign_fixture.claim()
    assert held is not None
    campaign_fixture.block(held)
    campaign_fixture.print_all()
    shown = look(api, campaign_id)["progress"]
    assert (shown["prints"]["blocked"], shown["prints"]["printed"], shown["share"]) == (1, 2, 1.0)
    assert shown["prints"]["block_rate"] == pytest.approx(1 / 3)
    assert act(api, campaign_id, "retry?only=failed")["status"] == "completed"
    assert act(api, campaign_id, "retry?only=blocked")["status"] == "running"
    campaign_fixture.print_all()
    assert look(api, campaign_id)["progress"]["prints"]["printed"] == 3
    assert act(api, campaign_id, "retry?only=everything", 422)["code"] == "invalid_parameter"


def test_proofs_show_pictures_seconds_and_a_quote(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(20), status=CampaignStatus.READY)
    started = act(api, campaign_id, "proofs", 202, json={"k": 3})
    assert (started["status"], len(started["data"]), started["quote"]) == ("proofing", 3, None)
    assert len(api.notifier.notified) == 3
    while campaign_fixture.print_one() is not None:
        pass
    campaign_fixture.go_round()
    shown = api.get(f"/v1/campaigns/{campaign_id}/proofs").json
    assert shown["status"] == "ready"
    for proof in shown["data"]:
        assert (proof["status"], proof["gpu_seconds"], proof["amount"]) == ("printed", 1.0, "0.01")
        assert proof["url"].startswith("http")
        assert proof["prompt"].startswith("a card for name")
    assert shown["quote"]["amount"] == {"mean": "0.2", "low": "0.2", "high": "0.2"}
    assert shown["quote"]["hours"]["mean"] == pytest.approx(20 / 3600)
    assert (shown["quote"]["proofs"], shown["quote"]["prints"], shown["quote"]["presses"]) == (3, 20, 1)
    assert look(api, campaign_id)["quote"] == shown["quote"]


def test_more_proofs_than_the_budget_pays_for_are_refused(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(20), status=CampaignStatus.READY, budget=PRICE, reservation=PRICE)
    assert act(api, campaign_id, "proofs", 409, json={"k": 3})["code"] == "budget_spent"
    assert act(api, campaign_id, "proofs", 422, json={"k": 51})["code"] == "out_of_range"


def test_webhooks_receive_events_of_a_campaign_but_not_of_its_jobs(api: Api, campaign_fixture: CampaignFixture) -> None:
    webhook_fixture = WebhookFixture(campaign_fixture.database)
    webhook_fixture.subscribe(HOOK, events=list(EventType))
    webhook_fixture.ensure_direct_endpoint()
    campaign_id = campaign_fixture.campaign(
        names(4),
        budget=2 * PRICE,
        reservation=PRICE,
        webhook_url="https://own.example/",
        webhook_events=["campaign.held"],
    )
    act(api, campaign_id, "start")
    campaign_fixture.print_all()
    act(api, campaign_id, "budget", json={"amount": "1"})
    campaign_fixture.print_one()
    campaign_fixture.go_round()
    assert duties.publish_progress(campaign_fixture.database, campaign_fixture.settings) == 1
    assert duties.publish_progress(campaign_fixture.database, campaign_fixture.settings) == 0
    campaign_fixture.print_all()
    heard = told(campaign_fixture)
    kinds = [message["type"] for message in heard]
    assert kinds == ["campaign.held", "campaign.held", "campaign.progress", "campaign.completed"]
    assert heard[0]["data"]["held_reason"] == "budget"
    assert heard[0]["data"]["prints"] == {
        **{status.value: 0 for status in PrintStatus},
        "wanted": 4,
        "printed": 2,
        "waiting": 2,
    }
    assert heard[2]["data"]["prints"]["printed"] == 3
    assert (heard[3]["data"]["id"], heard[3]["data"]["spent"]) == (str(campaign_id), "0.04")
    with campaign_fixture.database.reading() as session:
        urls = session.scalars(select(WebhookMessage.url).order_by(WebhookMessage.id)).all()
    assert set(urls[:2]) == {None, "https://own.example/"}
    assert set(urls[2:]) == {None}


def test_a_campaign_that_printed_nothing_fails(api: Api, campaign_fixture: CampaignFixture) -> None:
    WebhookFixture(campaign_fixture.database).subscribe(HOOK, events=list(EventType))
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    act(api, campaign_id, "start")
    for _ in range(2):
        held = campaign_fixture.claim()
        assert held is not None
        campaign_fixture.block(held)
    campaign_fixture.go_round()
    assert look(api, campaign_id)["status"] == "completed"
    assert [message["type"] for message in told(campaign_fixture)] == ["campaign.failed"]


def test_a_campaign_held_for_a_changed_model_resumes_after_a_new_approval(
    api: Api, campaign_fixture: CampaignFixture
) -> None:
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    with campaign_fixture.database.transaction() as session:
        card = session.get_one(Model, "painted")
        card.card = card.card | {"title": "another"}
    shown = act(api, campaign_id, "start")
    assert (shown["status"], shown["held_reason"]) == ("held", ordering.NOT_AS_APPROVED)
    act(api, campaign_id, "approve", json={"spec_digest": shown["spec_digest"]})
    assert act(api, campaign_id, "resume")["status"] == "running"
    assert campaign_fixture.print_all() == 2


def test_appended_rows_wait_for_their_own_approval(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    act(api, campaign_id, "start")
    with campaign_fixture.database.transaction() as session:
        add_list(session, session.get_one(Campaign, campaign_id), 2, ["zoe"])
    assert campaign_fixture.print_all() == 2
    shown = look(api, campaign_id)
    assert (shown["status"], shown["progress"]["prints"]["waiting"]) == ("completed", 1)
    act(api, campaign_id, "approve", json={"spec_digest": shown["spec_digest"]})
    act(api, campaign_id, "start")
    assert campaign_fixture.print_all() == 1
