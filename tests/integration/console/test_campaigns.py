"""The console's pages of campaigns: what they show and do, to whom, and with few queries each; on both databases."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from common.access.keys import Scope
from common.campaigns import lifecycle
from common.states.campaigns import CampaignStatus, PrintStatus
from tests.integration.console.test_access import sign_in
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import CampaignFixture, add_list, arm, names, spec
from tests.support.campaigns.recipient_files import make_campaign, put

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


def token(api: Api) -> str:
    found = re.search(r'"X-CSRF-Token": "([^"]+)"', api.client.get("/console/nothing").text)
    assert found is not None
    return found.group(1)


def post(api: Api, path: str, **form: Any) -> TestResponse:
    return api.client.post(f"/console/campaigns{path}", data={"csrf_token": token(api), **form})


def upload(api: Api, campaign_id: object, rows: str, mode: str = "replace") -> TestResponse:
    headers = {"X-CSRF-Token": token(api), "HX-Request": "true"}
    path = f"/console/campaigns/{campaign_id}/recipients?mode={mode}"
    return api.client.post(path, data=rows, headers=headers, content_type="text/csv")


def page(api: Api, campaign_id: object, name: str) -> str:
    answer = api.client.get(f"/console/campaigns/{campaign_id}/{name}")
    assert answer.status_code == 200, (name, answer.text)
    return answer.text


def start(campaign_fixture: CampaignFixture, count: int = 3, **changes: Any) -> UUID:
    campaign_id = campaign_fixture.campaign(names(count), **changes)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    return campaign_id


def test_a_campaign_is_created_by_form_proofed_approved_and_started(
    api: Api, campaign_fixture: CampaignFixture
) -> None:
    form = {"name": "Birthdays", "prompt": "a card for {{ name }}", "budget": "20", "images_per_recipient": "2"}
    made = post(api, "", **form, on_block="reroll", model="painted", steps="3")
    campaign_id = made.headers["Location"].split("/")[3]
    shown = api.get(f"/v1/campaigns/{campaign_id}").json
    assert (shown["name"], shown["images_per_recipient"], shown["on_block"]) == ("Birthdays", 2, "reroll")
    assert (shown["arms"][0]["request"]["steps"], shown["budget"]["amount"]) == (3, "20")
    answer = upload(api, campaign_id, "name\nAda\nBob\n")
    assert answer.json["url"].endswith("/recipients?note=recipients-taken")
    assert "a card for Ada" in page(api, campaign_id, "prompts")
    assert "a card for Bob" not in page(api, campaign_id, "prompts?recipient=1")
    post(api, f"/{campaign_id}/proofs", k="1")
    assert "0 of 2 proofs are printed" in page(api, campaign_id, "proofs")
    campaign_fixture.print_all()
    proofs = page(api, campaign_id, "proofs")
    assert "Estimated total cost" in proofs
    assert "data-live-end" in proofs
    approval = page(api, campaign_id, "approve")
    digest = api.get(f"/v1/campaigns/{campaign_id}").json["spec_digest"]
    assert digest in approval
    assert "up to <b>4 images</b>" in approval
    assert "never exceeds <b>20.00 USD</b>" in approval
    post(api, f"/{campaign_id}/approve", spec_digest=digest)
    assert campaign_fixture.read(UUID(campaign_id)).status is CampaignStatus.APPROVED
    assert "Start printing" in page(api, campaign_id, "watch")
    post(api, f"/{campaign_id}/do/start")
    assert "data-live-end" not in page(api, campaign_id, "watch")
    campaign_fixture.print_all()
    assert "data-live-end" in page(api, campaign_id, "watch/now")
    assert page(api, campaign_id, "results").count('<li class="print">') == 4
    assert page(api, campaign_id, "results.csv").count("printed") == 4


def test_variants_are_entered_in_the_form_and_copied_to_a_new_campaign(api: Api) -> None:
    arms = {"arm-name-0": "plain", "arm-name-1": "festive", "arm-prompt-1": "a big {{ pet }}"}
    made = post(api, "", name="pets", prompt="a {{ pet }}", negative_prompt="fog", budget="5", **arms)
    campaign_id = made.headers["Location"].split("/")[3]
    plain, festive = api.get(f"/v1/campaigns/{campaign_id}").json["arms"]
    assert (plain["name"], plain["template"]["prompt"]) == ("plain", "a {{ pet }}")
    assert festive["template"] == {"prompt": "a big {{ pet }}", "negative_prompt": "fog"}
    form = api.client.get(f"/console/campaigns/new?like={campaign_id}").text
    for value in ('value="pets"', 'value="festive"', 'value="a big {{ pet }}"', 'value="5"', ">a {{ pet }}</textarea>"):
        assert value in form


def test_an_invalid_form_is_shown_again_with_all_errors_and_the_input(api: Api) -> None:
    answer = post(api, "", name="", prompt="a {{ x <b>", budget="much", images_per_recipient="99")
    assert answer.status_code == 422
    for place in ("<b>name</b>", "<b>budget amount</b>", "<b>images per recipient</b>"):
        assert place in answer.text
    assert "a {{ x &lt;b&gt;" in answer.text
    assert "<b>template prompt</b>" in post(api, "", name="x", prompt="a {{ x", budget="1").text
    assert api.get("/v1/campaigns").json["data"] == []


def test_rejected_rows_are_shown_with_their_errors_and_can_be_corrected(api: Api) -> None:
    campaign = make_campaign(api)
    rows = "recipient_id,name\na,Ada\n" + "".join(f"r{number},\n" for number in range(60))
    answer = upload(api, campaign["id"], rows)
    assert answer.json["url"].endswith("note=recipients-taken-in-part")
    shown = page(api, campaign["id"], "recipients")
    assert shown.count('class="bad-cell"') == 50
    assert "The first 50 of 60" in shown
    assert "errors.csv?list=1" in shown
    path = f"/console/campaigns/{campaign['id']}/errors.csv"
    assert [api.client.get(f"{path}?list={number}").status_code for number in ("2", "x", 10**30)] == [404, 422, 422]
    errors = page(api, campaign["id"], "errors.csv?list=1")
    corrected = errors.lstrip("\ufeff").replace("r7,,", "r7,Grace,")
    assert upload(api, campaign["id"], corrected, "append").status_code == 200
    assert api.get(f"/v1/campaigns/{campaign['id']}").json["recipients"]["accepted"] == 2


def test_a_file_without_usable_rows_changes_nothing_and_says_why(api: Api) -> None:
    campaign = make_campaign(api)
    answer = upload(api, campaign["id"], "nom\nAda\n")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "name" in answer.text
    assert api.get(f"/v1/campaigns/{campaign['id']}").json["recipients"]["accepted"] == 0


def test_an_approval_of_an_outdated_version_is_refused(api: Api) -> None:
    campaign = make_campaign(api)
    put(api, campaign, "name\nAda\n")
    digest = api.get(f"/v1/campaigns/{campaign['id']}").json["spec_digest"]
    put(api, campaign, "name\nBob\n")
    assert post(api, f"/{campaign['id']}/approve", spec_digest=digest).status_code == 409
    assert api.get(f"/v1/campaigns/{campaign['id']}").json["status"] == "ready"


def test_a_running_campaign_is_paused_resumed_raised_retried_and_canceled(
    api: Api, campaign_fixture: CampaignFixture
) -> None:
    campaign_id = start(campaign_fixture)
    campaign_fixture.block(campaign_fixture.claim())
    campaign_fixture.fail(campaign_fixture.claim())
    campaign_fixture.go_round()
    shown = page(api, campaign_id, "watch")
    for words in ("Pause", "Retry failed", "Retry blocked with new seeds", "Change budget"):
        assert words in shown
    for act, status in (("pause", "paused"), ("resume", "running")):
        post(api, f"/{campaign_id}/do/{act}")
        assert campaign_fixture.read(campaign_id).status == status
    post(api, f"/{campaign_id}/do/retry", only="blocked")
    assert campaign_fixture.count(campaign_id, PrintStatus.BLOCKED) == 0
    assert campaign_fixture.count(campaign_id, PrintStatus.FAILED) == 1
    post(api, f"/{campaign_id}/do/budget", amount="2000.5")
    assert f"{campaign_fixture.read(campaign_id).budget:f}".startswith("2000.5")
    assert post(api, f"/{campaign_id}/do/budget", amount="lots").status_code == 422
    assert post(api, f"/{campaign_id}/do/dance").status_code == 404
    post(api, f"/{campaign_id}/do/cancel")
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.CANCELED
    assert "Pause" not in page(api, campaign_id, "watch")
    post(api, f"/{campaign_id}/delete")
    assert str(campaign_id) not in api.client.get("/console/campaigns").text


def test_a_campaign_that_stopped_at_its_budget_says_what_to_do(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture, 30, budget=1)
    campaign_fixture.print_all(cost=campaign_fixture.read(campaign_id).budget)
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.HELD
    assert "would exceed the budget" in page(api, campaign_id, "watch")


def test_results_are_paged_without_losing_or_repeating_one(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture, 110)
    seen: list[str] = []
    path = f"/console/campaigns/{campaign_id}/results"
    while path:
        text = api.client.get(path).text
        seen += re.findall(r'<p class="caption" title="([^"]+)">', text)
        links = re.findall(r'rel="next" href="([^"]+)"', text)
        path = links[0].replace("&amp;", "&") if links else ""
    assert seen == [f"1-{row}" for row in range(1, 111)]


def test_variants_are_compared_by_cost_and_blocked_share(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture, 20, chosen=spec(arm("plain"), arm("festive")))
    campaign_fixture.block(campaign_fixture.claim())
    campaign_fixture.print_all()
    shown = page(api, campaign_id, "variants")
    arms = api.get(f"/v1/campaigns/{campaign_id}").json["progress"]["arms"]
    assert sorted(arms) == ["festive", "plain"]
    for name, tally in arms.items():
        row = re.search(rf"<tr><td><b>{name}</b>.*?</tr>", shown, re.DOTALL)
        assert row is not None
        assert f'<td class="number">{tally["printed"]}</td>' in row.group()
        assert f"{tally['block_rate']:.0%}" in row.group()
    assert shown.count('<li class="print">') == sum(min(8, tally["printed"]) for tally in arms.values())


def test_links_are_created_and_revoked_and_a_recipient_is_erased(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture)
    campaign_fixture.print_all()
    post(api, f"/{campaign_id}/links/make")
    assert "/p/" in page(api, campaign_id, "results.csv")
    assert "Revoke all links" in page(api, campaign_id, "results")
    post(api, f"/{campaign_id}/links/revoke")
    assert "/p/" not in page(api, campaign_id, "results.csv")
    assert post(api, f"/{campaign_id}/erase", recipient_id="nobody").status_code == 404
    assert "of 1-2, image" in page(api, campaign_id, "results")
    post(api, f"/{campaign_id}/erase", recipient_id="1-2")
    assert "of 1-2, image" not in page(api, campaign_id, "results")
    assert "erased" in page(api, campaign_id, "results")


def test_appended_rows_wait_for_their_own_approval(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = start(campaign_fixture)
    campaign_fixture.print_all()
    campaign_fixture.do(campaign_id, add_list, 2, ["zoe"])
    assert "1 recipient was added and not approved yet" in page(api, campaign_id, "watch")
    assert "1 more, in addition to 3 already approved" in page(api, campaign_id, "approve")
    digest = api.get(f"/v1/campaigns/{campaign_id}").json["spec_digest"]
    post(api, f"/{campaign_id}/approve", spec_digest=digest)
    assert "Start printing" in page(api, campaign_id, "watch")
    post(api, f"/{campaign_id}/do/start")
    campaign_fixture.print_all()
    assert campaign_fixture.count(campaign_id, PrintStatus.PRINTED) == 4
