"""To whom the console shows which page of a campaign, how safely, and with how few queries; on both databases."""

from pathlib import Path

import pytest

from common.access.keys import Scope
from common.states.campaigns import CampaignStatus
from tests.integration.console.test_access import sign_in
from tests.integration.console.test_campaigns import page, post, start, upload
from tests.integration.console.test_pages import MOST_QUERIES, counting
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import CampaignFixture, arm, names, spec
from tests.support.campaigns.recipient_files import make_campaign

READER = (Scope.CAMPAIGNS_READ,)
WRITER = (Scope.CAMPAIGNS_READ, Scope.CAMPAIGNS_WRITE)
EVERY_PAGE = (
    *("recipients", "prompts", "proofs", "proofs/now", "approve", "watch", "watch/now", "results", "variants"),
    *("errors.csv", "results.csv", "archive.zip", "contact-sheet.png"),
)


@pytest.fixture
def api(campaign_fixture: CampaignFixture, tmp_path: Path) -> Api:
    opened = open_api(campaign_fixture.database, tmp_path / "api")
    opened.key = sign_in(opened)
    return opened


def test_no_page_of_a_campaign_takes_more_than_a_dozen_queries(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture, 60, chosen=spec(arm("a"), arm("b"), images_per_recipient=2))
    campaign_fixture.block(campaign_fixture.claim())
    for _ in range(8):
        campaign_fixture.go_round()
        campaign_fixture.print_one()
    ready = campaign_fixture.campaign(names(4), status=CampaignStatus.READY)
    post(api, f"/{ready}/proofs", k="3")
    for _ in range(20):
        campaign_fixture.campaign(names(2))
    paths = ["", "?status=running", "/new", f"/new?like={campaign_id}"]
    paths += [f"/{each}/{name}" for each in (campaign_id, ready) for name in EVERY_PAGE if "." not in name]
    asked = {}
    for path in paths:
        with counting(api.database) as sent:
            assert api.client.get(f"/console/campaigns{path}").status_code == 200, path
        asked[path] = len([statement for statement in sent if not statement.startswith("BEGIN")])
    assert max(asked.values()) <= MOST_QUERIES, asked


def test_resources_of_other_owners_are_not_found(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture, owner="bob")
    for name in EVERY_PAGE:
        assert api.client.get(f"/console/campaigns/{campaign_id}/{name}").status_code == 404, name
    assert str(campaign_id) not in api.client.get("/console/campaigns").text
    assert api.client.get(f"/console/campaigns/new?like={campaign_id}").status_code == 404
    for act in ("delete", "do/pause", "do/cancel", "links/make", "proofs"):
        assert post(api, f"/{campaign_id}/{act}").status_code == 404, act
    assert post(api, f"/{campaign_id}/erase", recipient_id="1-1").status_code == 404
    assert post(api, f"/{campaign_id}/approve", spec_digest="0" * 64).status_code == 404
    assert upload(api, campaign_id, "name\nAda\n", "append").status_code == 404
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.RUNNING


def test_a_key_is_shown_only_the_actions_that_it_allows(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture)
    ready = campaign_fixture.campaign(names(2), status=CampaignStatus.READY)
    sign_in(api, *READER)
    seen = {name: page(api, campaign_id, name) for name in ("recipients", "watch", "results")}
    seen["list"] = api.client.get("/console/campaigns").text
    seen["proofs"] = page(api, ready, "proofs")
    for name, text in seen.items():
        for hidden in ("Pause", "Cancel", "Erase", "Create links", "Upload and", "Print proofs", "/approve", "/new"):
            assert hidden not in text, (name, hidden)
    for act in ("do/pause", "delete", "links/make", "erase", "proofs", "approve"):
        assert post(api, f"/{campaign_id}/{act}").status_code == 403, act
    sign_in(api, *WRITER)
    assert "Print proofs" in page(api, ready, "proofs")
    assert "/approve" not in page(api, ready, "proofs")
    assert "Waiting for approval" in page(api, ready, "proofs")
    assert api.client.get(f"/console/campaigns/{ready}/approve").status_code == 403


def test_a_live_part_is_sent_again_only_when_it_has_changed(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture)
    path = f"/console/campaigns/{campaign_id}/watch/now"
    known = {"If-None-Match": api.client.get(path).headers["ETag"]}
    assert api.client.get(path, headers=known).status_code == 304
    campaign_fixture.print_one()
    campaign_fixture.go_round()
    assert api.client.get(path, headers=known).status_code == 200


def test_user_input_is_shown_as_text_and_never_as_html(api: Api) -> None:
    evil = "<script>alert(1)</script>"
    campaign = make_campaign(api, name=evil, template={"prompt": f"a {evil} for {{{{ name }}}}"})
    upload(api, campaign["id"], f"recipient_id,name\n{evil},{evil}\nx,\n")
    for name in ("recipients", "prompts", "proofs", "approve"):
        assert "<script>alert" not in page(api, campaign["id"], name), name
    assert "<script>alert" not in api.client.get("/console/campaigns").text
    assert "<script>alert" not in api.client.get(f"/console/campaigns/new?like={campaign['id']}").text
