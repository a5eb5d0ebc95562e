"""What the console says after an act is what the act did; on both databases."""

import re
from pathlib import Path
from typing import get_args
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from api.webhooks.schemas import CampaignEvent, JobEvent
from common.campaigns import lifecycle as campaign_lifecycle
from common.states.jobs import ImageStatus
from common.states.webhooks import USUAL_EVENTS
from tests.integration.console.test_access import sign_in, token_of_any_page
from tests.support import factories
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import CampaignFixture, names
from tests.support.html_forms import read_forms

UNKNOWN = "01a206df-29df-717a-b844-d5aa57ee2490"


@pytest.fixture
def api(campaign_fixture: CampaignFixture, tmp_path: Path) -> Api:
    opened = open_api(campaign_fixture.database, tmp_path / "api")
    opened.key = sign_in(opened)
    return opened


def post(api: Api, path: str, **form: object) -> TestResponse:
    data = {"csrf_token": token_of_any_page(api)} | form
    return api.client.post(f"/console/{path}", data=data, follow_redirects=True)


@pytest.mark.parametrize("act", ["cancel", "retry"])
def test_an_act_on_jobs_without_any_chosen_says_so(api: Api, act: str) -> None:
    queued = factories.submit(api.database)
    page = post(api, "jobs/chosen", act=act)
    assert "Nothing was chosen. Select at least one job." in page.text
    assert "canceled" not in api.get(f"/v1/jobs/{queued.id}").json["status"]
    assert api.count_jobs() == 1


@pytest.mark.parametrize("act", ["compare", "sheet", "delete"])
def test_an_act_on_images_without_any_chosen_says_so(api: Api, act: str) -> None:
    api.print_job()
    assert "Nothing was chosen. Select at least one image." in post(api, "gallery/chosen", act=act).text


def test_canceling_several_jobs_tells_how_many_were_and_why_others_were_not(api: Api) -> None:
    ended = [str(api.print_job()[0]) for _ in range(2)]
    queued = [str(factories.submit(api.database).id) for _ in range(3)]
    page = post(api, "jobs/chosen", act="cancel", job=[*queued, *ended]).text
    assert "3 of 5 jobs were canceled; 2 had ended already." in page
    assert (
        "None of the 5 jobs was canceled: 5 had ended already."
        in post(api, "jobs/chosen", act="cancel", job=[*queued, *ended]).text
    )
    page = post(api, "jobs/chosen", act="cancel", job=[queued[0], UNKNOWN]).text
    assert "None of the 2 jobs was canceled: 1 had ended already; 1 no longer exists." in page


def test_retrying_several_jobs_tells_how_many_were_and_why_others_were_not(api: Api) -> None:
    (ended, _), queued = api.print_job(), factories.submit(api.database)
    page = post(api, "jobs/chosen", act="retry", job=[str(queued.id), str(ended), UNKNOWN]).text
    assert "1 of 3 jobs was retried; 1 has not ended yet; 1 no longer exists. New jobs were created." in page
    page = post(api, "jobs/chosen", act="retry", job=str(queued.id)).text
    assert "The job was not retried: it has not ended yet." in page
    assert "The job was retried. New jobs were created." in post(api, "jobs/chosen", act="retry", job=str(ended)).text


def test_jobs_that_do_not_fit_into_the_queue_are_counted(campaign_fixture: CampaignFixture, tmp_path: Path) -> None:
    api = open_api(campaign_fixture.database, tmp_path / "small", max_queued_jobs=1)
    sign_in(api)
    ended = [str(api.print_job()[0]) for _ in range(3)]
    page = post(api, "jobs/chosen", act="retry", job=ended).text
    assert "1 of 3 jobs was retried; 2 did not fit into the queue." in page


def test_deleting_several_images_tells_how_many_were_and_why_others_were_not(api: Api) -> None:
    (_, (first,)), (_, (second,)), (_, (foreign,)) = api.print_job(), api.print_job(), api.print_job("bob")
    _, (blocked,) = api.print_job(status=ImageStatus.BLOCKED)
    assert api.client.get("/console/gallery").text.count('name="image"') == 3
    chosen = [str(image.id) for image in (first, foreign, blocked)]
    page = post(api, "gallery/chosen", act="delete", image=chosen).text
    assert "1 of 3 images was deleted; 1 no longer exists; 1 had no file to delete." in page
    page = post(api, "gallery/chosen", act="delete", image=str(second.id)).text
    assert "The image was deleted. The cost remains in the account." in page
    page = post(api, "gallery/chosen", act="sheet", image=str(second.id)).text
    assert "none of the selected images can be shown" in page
    assert "There is nothing to compare" in post(api, "gallery/chosen", act="compare", image=UNKNOWN).text


def test_an_act_that_the_console_does_not_have_does_nothing(api: Api) -> None:
    queued = str(factories.submit(api.database).id)
    assert post(api, "jobs/chosen", act="burn", job=queued).status_code == 404
    assert api.get(f"/v1/jobs/{queued}").json["status"] == "queued"
    _, (image,) = api.print_job()
    assert post(api, "gallery/chosen", act="burn", image=str(image.id)).status_code == 404


def test_canceling_a_job_that_has_ended_says_so(api: Api) -> None:
    (printed, _), queued = api.print_job(), str(factories.submit(api.database).id)
    assert "The job was canceled." in post(api, f"jobs/{queued}/cancel").text
    for job_id in (queued, printed):
        page = post(api, f"jobs/{job_id}/cancel").text
        assert "Nothing was canceled: the job had ended already." in page
        assert "The job was canceled." not in page


def test_retrying_a_job_that_has_not_ended_keeps_its_page_and_says_so(api: Api) -> None:
    queued = str(factories.submit(api.database).id)
    answer = post(api, f"jobs/{queued}/retry")
    assert answer.status_code == 409
    assert "only a finished job can be retried" in answer.text
    assert "<h2>Timeline</h2>" in answer.text


def test_a_key_or_webhook_that_was_changed_before_is_told_so(api: Api) -> None:
    key_id = api.make_key("ada").split("_")[1]
    assert "no longer works" in post(api, f"keys/{key_id}/revoke").text
    assert "had been revoked already" in post(api, f"keys/{key_id}/revoke").text
    webhook = api.post("/v1/webhooks", json={"url": "https://hooks.example/a"}).json["id"]
    for act, told in (
        *(("enable", "was enabled already"), ("disable", "The webhook was disabled.")),
        *(("disable", "was disabled already"), ("enable", "The webhook was enabled.")),
    ):
        assert told in post(api, f"webhooks/{webhook}/{act}").text
    post(api, f"webhooks/{webhook}/disable")
    page = post(api, f"webhooks/{webhook}/test")
    assert page.status_code == 409
    assert "Enable the webhook first." in page.text
    assert "<h2>Settings</h2>" in page.text


def test_acts_on_a_campaign_that_change_nothing_say_so(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id: UUID = campaign_fixture.campaign(names(2))
    campaign_fixture.do(campaign_id, campaign_lifecycle.start_campaign, campaign_fixture.settings)
    for act, told in (
        *(("retry", "no image of this campaign can be retried"), ("cancel", "The campaign was canceled.")),
        *(("cancel", "had been canceled already"), ("pause", "The current state does not allow this")),
    ):
        page = post(api, f"campaigns/{campaign_id}/do/{act}").text
        assert told in page
        assert campaign_fixture.read(campaign_id).name in page
    for act, told in (
        *(("revoke", "there were no links to revoke"), ("make", "Public links were created")),
        *(("make", "had public links already"), ("revoke", "All links were revoked.")),
    ):
        assert told in post(api, f"campaigns/{campaign_id}/links/{act}").text
    assert post(api, f"campaigns/{campaign_id}/links/burn").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        *("note=jobs-canceled", "note=jobs-canceled&done=x", "note=jobs-canceled&done=0&left=invalid_state:x"),
        *(
            "note=jobs-canceled&done=99999999",
            "note=jobs-canceled&done=-1",
            "note=nothing",
            "note=jobs-canceled&done=²",
        ),
    ],
)
def test_a_notice_is_never_made_of_the_text_of_a_url(api: Api, query: str) -> None:
    assert 'class="notice"' not in api.client.get(f"/console/jobs?{query}").text
    assert "<evil>" not in api.client.get("/console/jobs?note=jobs-canceled&done=1&left=<evil>:1").text


def test_a_webhook_of_the_console_hears_of_campaigns(api: Api) -> None:
    form = read_forms(api.client.get("/console/webhooks").text)["/console/webhooks"].fields
    assert form["event"] == [*USUAL_EVENTS]
    made = api.client.post("/console/webhooks", data=form | {"url": "https://hooks.example/a"})
    (webhook,) = api.get("/v1/webhooks").json["data"]
    assert webhook["events"] == [*USUAL_EVENTS]
    path = f"/console/webhooks/{webhook['id']}"
    chosen = read_forms(made.text)[path].fields
    assert chosen["event"] == [*USUAL_EVENTS]
    changed = chosen | {"event": ["campaign.progress"], "description": "The shop"}
    assert "The webhook was updated." in api.client.post(path, data=changed, follow_redirects=True).text
    (webhook,) = api.get("/v1/webhooks").json["data"]
    assert (webhook["events"], webhook["description"]) == (["campaign.progress"], "The shop")
    refused = api.client.post(path, data=changed | {"url": ""})
    assert refused.status_code == 422
    assert api.get("/v1/webhooks").json["data"][0]["url"] == "https://hooks.example/a"


def test_every_event_of_the_api_can_be_chosen_in_the_console(api: Api) -> None:
    page = api.client.get("/console/webhooks").text
    offered = set(re.findall(r'name="event" value="([^"]+)"', page))
    assert offered == {*get_args(JobEvent), *get_args(CampaignEvent)}
