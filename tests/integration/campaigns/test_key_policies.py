"""Several API keys act on one campaign: the strictest policy counts, and only an approver may enlarge it."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from common.access import keys
from common.access.keys import TENANT_SCOPES, Scope
from common.db.engine import Database
from common.safety.policy import PolicyOverrides, Recourse, ReviewAction
from common.states.campaigns import CampaignStatus
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, names
from tests.support.campaigns.recipient_files import CSV, make_campaign, put

STRICT = PolicyOverrides(block_above=0.3, review_action=ReviewAction.BLOCK, on_block=Recourse.REROLL)
OTHERWISE_STRICT = PolicyOverrides(review_above=0.1, block_above=0.6)


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


@pytest.fixture
def campaign_fixture(api: Api) -> CampaignFixture:
    """The clerk and the press behind the api."""
    return CampaignFixture(api.database, api.services.settings)


def make_key(api: Api, name: str, safety: PolicyOverrides = keys.NO_POLICY, without: Scope | None = None) -> str:
    scopes = tuple(scope for scope in TENANT_SCOPES if scope is not without)
    with api.database.transaction() as session:
        return keys.create_api_key(session, name, "ada", scopes, safety=safety)


def approve(api: Api, path: str, key: str = "") -> None:
    digest = api.get(path).json["spec_digest"]
    answer = api.post(f"{path}/approve", json={"spec_digest": digest}, key=key)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("act", ["create", "change", "upload", "prove", "approve", "start", "resume", "retry"])
def test_a_campaign_is_judged_by_the_strictest_key_that_acted_on_it(
    api: Api, campaign_fixture: CampaignFixture, act: str
) -> None:
    strict, lax = make_key(api, "strict", STRICT), api.key

    def key_of(name: str) -> str:
        return strict if act == name else lax

    api.key = key_of("create")
    made = make_campaign(api)
    api.key, path = lax, f"/v1/campaigns/{made['id']}"
    assert api.call("PATCH", path, json={"name": "Cards"}, key=key_of("change")).status_code == 200
    api.key = key_of("upload")
    assert put(api, made, CSV).status_code == 200
    api.key = lax
    assert api.call("PATCH", path, json={"name": "Last edited by the lax key"}).status_code == 200
    if act == "prove":
        assert api.post(f"{path}/proofs", json={"k": 1}, key=strict).status_code == 202
        campaign_fixture.print_all()
    approve(api, path, key_of("approve"))
    assert api.post(f"{path}/start", key=key_of("start")).status_code == 200
    assert api.post(f"{path}/pause").status_code == 200
    assert api.post(f"{path}/resume", key=key_of("resume")).status_code == 200
    if act == "retry":
        held = campaign_fixture.claim()
        assert held is not None
        campaign_fixture.fail(held)
        campaign_fixture.go_round()
        assert api.post(f"{path}/retry", key=strict).status_code == 200
    held = campaign_fixture.claim()
    assert held is not None
    safety = held.request.safety
    assert safety is not None
    assert (safety.block_above, safety.review_action, safety.on_block) == (0.3, ReviewAction.BLOCK, Recourse.FAIL)


def test_the_policies_of_several_keys_are_combined(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    assert api.post(f"/v1/campaigns/{campaign_id}/start", key=make_key(api, "one", STRICT)).status_code == 200
    assert api.post(f"/v1/campaigns/{campaign_id}/pause", key=make_key(api, "two", OTHERWISE_STRICT)).status_code == 200
    assert api.post(f"/v1/campaigns/{campaign_id}/resume").status_code == 200
    held = campaign_fixture.claim()
    assert held is not None
    assert held.request.safety is not None
    assert held.request.safety.thresholds == {"review": 0.1, "block": 0.3}
    assert held.request.safety.review_action is ReviewAction.BLOCK


def test_a_key_that_acts_while_jobs_wait_tightens_those_too(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    assert api.post(f"/v1/campaigns/{campaign_id}/start").status_code == 200
    assert api.post(f"/v1/campaigns/{campaign_id}/links", key=make_key(api, "strict", STRICT)).status_code == 200
    held = campaign_fixture.claim()
    assert held is not None
    assert held.request.safety is not None
    assert held.request.safety.block_above == 0.3


def test_an_act_that_fails_leaves_the_policy_alone(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(2))
    assert api.post(f"/v1/campaigns/{campaign_id}/pause", key=make_key(api, "strict", STRICT)).status_code == 409
    assert campaign_fixture.read(campaign_id).safety is None


def test_a_job_of_a_strict_campaign_that_a_lax_key_retries_stays_strict(
    api: Api, campaign_fixture: CampaignFixture
) -> None:
    campaign_id = campaign_fixture.campaign(names(1), reservation=PRICE)
    strict = make_key(api, "strict", STRICT)
    assert api.post(f"/v1/campaigns/{campaign_id}/start").status_code == 200
    held = campaign_fixture.claim()
    assert held is not None
    campaign_fixture.fail(held)
    assert api.post(f"/v1/campaigns/{campaign_id}/links", key=strict).status_code == 200
    again = api.post(f"/v1/jobs/{held.job_id}/retry")
    assert again.status_code == 202, again.text
    assert again.json["request"]["safety"]["block_above"] == 0.3


def test_a_job_of_a_strict_key_that_a_lax_key_retries_stays_strict(api: Api) -> None:
    strict = make_key(api, "strict", STRICT)
    job = api.post("/v1/jobs", json={"prompt": "a lighthouse"}, key=strict).json
    assert api.post(f"/v1/jobs/{job['id']}/cancel").status_code == 200
    again = api.post(f"/v1/jobs/{job['id']}/retry").json
    assert again["request"]["safety"] == job["request"]["safety"]


@pytest.mark.parametrize("status", [CampaignStatus.APPROVED, CampaignStatus.RUNNING, CampaignStatus.COMPLETED])
def test_only_a_key_that_may_approve_can_raise_an_approved_budget(
    api: Api, campaign_fixture: CampaignFixture, status: CampaignStatus
) -> None:
    campaign_id = campaign_fixture.campaign(names(1), reservation=PRICE)
    campaign_fixture.do(campaign_id, lambda session, campaign: setattr(campaign, "status", status))
    writer = make_key(api, "writer", without=Scope.CAMPAIGNS_APPROVE)
    refused = set_budget(api, campaign_id, "1000.01", writer)
    assert (refused.status_code, refused.json["code"]) == (403, "insufficient_scope")
    assert refused.json["errors"][0]["pointer"] == "/amount"
    assert "campaigns:approve" in refused.json["detail"]
    assert campaign_fixture.read(campaign_id).budget == 1000
    assert set_budget(api, campaign_id, "999", writer).json["budget"]["amount"] == "999"
    assert set_budget(api, campaign_id, "1000.01", api.key).json["budget"]["amount"] == "1000.01"


def test_a_budget_raised_before_the_approval_is_part_of_what_is_approved(api: Api) -> None:
    made = make_campaign(api)
    path, reviewed = f"/v1/campaigns/{made['id']}", put(api, made, CSV).json["spec_digest"]
    writer = make_key(api, "writer", without=Scope.CAMPAIGNS_APPROVE)
    assert set_budget(api, UUID(made["id"]), "1000", writer).status_code == 200
    refused = api.post(f"{path}/approve", json={"spec_digest": reviewed})
    assert (refused.status_code, refused.json["code"]) == (409, "digest_mismatch")
    approve(api, path)


def test_what_was_approved_can_be_enlarged_by_nothing_else(api: Api) -> None:
    made = make_campaign(api)
    path = f"/v1/campaigns/{made['id']}"
    put(api, made, CSV)
    approve(api, path)
    for change in ({"images_per_recipient": 4}, {"defaults": {"width": 1024}}, {"budget": {"amount": "1000"}}):
        assert api.call("PATCH", path, json=change).json["code"] == "invalid_state"
    assert put(api, made, "name,pet\nCyd,cat\n", "?mode=append").status_code == 200
    assert api.post(f"{path}/start").status_code == 200
    assert api.count_jobs() == 2


def set_budget(api: Api, campaign_id: UUID, amount: str, key: str) -> Any:
    return api.post(f"/v1/campaigns/{campaign_id}/budget", json={"amount": amount}, key=key)
