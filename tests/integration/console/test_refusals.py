"""A refused form comes back with all that was typed and its errors at their fields; on both databases."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.console.routing import blueprint, get_form_page
from common.access.keys import Scope
from tests.integration.console.test_access import sign_in, token_of_any_page
from tests.integration.images.test_quarantine import print_blocked
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import make_campaign, put
from tests.support.html_forms import HtmlForm, read_forms
from tests.support.press_fixture import PressFixture

UNKNOWN = "01a206df-29df-717a-b844-d5aa57ee2490"


@dataclass(frozen=True)
class RefusedForm:
    """What is typed into the form at *path*, with the fields that are at fault."""

    path: str
    typed: dict[str, str | list[str]]
    faulty: set[str]


def make_ready_campaign(api: Api) -> str:
    campaign = make_campaign(api)
    put(api, campaign, "name\nAda\n")
    return str(campaign["id"])


def make_approved_campaign(api: Api) -> str:
    campaign_id = make_ready_campaign(api)
    digest = api.get(f"/v1/campaigns/{campaign_id}").json["spec_digest"]
    assert api.post(f"/v1/campaigns/{campaign_id}/approve", json={"spec_digest": digest}).status_code == 200
    return campaign_id


def make_webhook(api: Api) -> str:
    return str(api.post("/v1/webhooks", json={"url": "https://hooks.example/a"}).json["id"])


def type_job(api: Api) -> RefusedForm:
    assert api.post("/v1/styles", json={"name": "plain"}).status_code == 201
    typed: dict[str, str | list[str]] = {
        "prompt": "a fox & a <hen>",
        "negative_prompt": "fog",
        "model": "painted",
        "style": "plain",
        "num_images": "3",
        "width": "0",
        "height": "64",
        "steps": "many",
        "guidance_scale": "4.25",
        "seed": "007",
        "output_format": "webp",
        "init_image": UNKNOWN,
        "mask_image": UNKNOWN,
        "strength": "0.33",
    }
    return RefusedForm("generate", typed, {"width", "steps"})


def type_campaign(api: Api) -> RefusedForm:
    typed: dict[str, str | list[str]] = {
        "name": "",
        "prompt": " a {{ pet <b>",
        "negative_prompt": "fog",
        "model": "painted",
        "style": "unknown@7",
        "width": "64",
        "height": "-3",
        "steps": "several",
        "images_per_recipient": "99",
        "budget": "much",
        "on_block": "reroll",
        "arm-name-0": "",
        "arm-prompt-0": "",
        "arm-name-1": "a b",
        "arm-style-1": "bright",
        "arm-prompt-1": "a big {{ pet }}",
    }
    faulty = {"name", "height", "steps", "images_per_recipient", "budget", "arm-name-1"}
    return RefusedForm("campaigns", typed, faulty)


def type_style(api: Api) -> RefusedForm:
    typed: dict[str, str | list[str]] = {
        "name": "bright",
        "prompt_prefix": "<b>an oil",
        "prompt_suffix": ", soft light ",
        "negative_prompt": "fog",
        "model": "painted",
        "scheduler": "ddim",
        "output_format": "jpeg",
        "width": "0",
        "height": "64",
        "steps": "many",
        "guidance_scale": "4.25",
        "adapters": "ink:much, oil",
        "use": ["1", "6"],
        "colour:1": "#123456",
        "colour:2": "#abcdef",
        "colour:6": "red",
    }
    return RefusedForm("styles/new", typed, {"width", "steps", "adapters", "use"})


def type_webhook(api: Api) -> RefusedForm:
    typed: dict[str, str | list[str]] = {"url": "not a url", "description": "The <shop>", "event": []}
    return RefusedForm("webhooks", typed | {"event": ["campaign.progress"]}, {"url"})


def type_webhook_settings(api: Api) -> RefusedForm:
    typed: dict[str, str | list[str]] = {"url": "https://hooks.example/b", "description": "The shop", "event": []}
    return RefusedForm(f"webhooks/{make_webhook(api)}", typed, {"event"})


def type_known_url(api: Api) -> RefusedForm:
    make_webhook(api)
    typed: dict[str, str | list[str]] = {"url": "https://hooks.example/a", "description": "Again", "event": []}
    return RefusedForm("webhooks", typed | {"event": ["job.failed", "campaign.held"]}, {"url"})


def type_key(api: Api) -> RefusedForm:
    typed: dict[str, str | list[str]] = {"name": "<shop>", "scope": ["jobs:read"], "ends": "in 90 days"}
    return RefusedForm("keys", typed, {"name"})


def type_proofs(api: Api) -> RefusedForm:
    return RefusedForm(f"campaigns/{make_ready_campaign(api)}/proofs", {"k": "many"}, {"k"})


def type_budget(api: Api) -> RefusedForm:
    return RefusedForm(f"campaigns/{make_approved_campaign(api)}/do/budget", {"amount": "lots"}, {"amount"})


def type_erasure(api: Api) -> RefusedForm:
    path = f"campaigns/{make_ready_campaign(api)}/erase"
    return RefusedForm(path, {"recipient_id": "nobody@example.com"}, {"recipient_id"})


TYPED: dict[str, Callable[[Api], RefusedForm]] = {
    "generate:create_job": type_job,
    "campaigns_overview:create_campaign": type_campaign,
    "styles:create_style": type_style,
    "webhooks:create_webhook": type_webhook,
    "webhooks:update_webhook": type_webhook_settings,
    "keys:create_key": type_key,
    "campaigns_proofs:print_proofs": type_proofs,
    "campaigns_runs:act_on_campaign": type_budget,
    "campaigns_results:erase_recipient": type_erasure,
}
"""What is typed into each form of the console; that of ``review:decide`` has a test of its own."""

BUTTONS = {
    *("jobs:change_jobs", "jobs:cancel_job", "jobs:retry_job", "gallery:use_chosen", "keys:revoke_key"),
    *("webhooks:change_webhook", "webhooks:resend_delivery", "campaigns_overview:delete_campaign"),
    *("campaigns_proofs:approve_campaign", "campaigns_results:change_campaign_links"),
}
"""Forms into which nothing is typed; their pages are shown again all the same."""

WITHOUT_PAGE = {
    *("generate:upload_picture", "campaigns_recipients:upload_recipients"),  # sent by scripts, which read JSON
    *("sign_in:sign_in", "sign_in:sign_out"),  # the page of a stranger, which answers for itself
    "generate:copy_print_to_asset",  # a button on many pages
}


@pytest.fixture
def kept(press_fixture: PressFixture) -> PressFixture:
    """A press that keeps blocked images."""
    return PressFixture(
        press_fixture.database, press_fixture.storage, press_fixture.settings.model_copy(update={"quarantine": "keep"})
    )


@pytest.fixture
def api(kept: PressFixture, tmp_path: Path) -> Api:
    opened = open_api(kept.database, tmp_path / "home")
    opened.key = sign_in(opened)
    return opened


def list_form_views(api: Api) -> dict[str, Any]:
    return {
        rule.endpoint.partition(".")[2]: get_form_page(api.app.view_functions[rule.endpoint])
        for rule in api.app.url_map.iter_rules()
        if rule.endpoint.startswith(f"{blueprint.name}.") and "POST" in (rule.methods or ())
    }


def send_refused(api: Api, form: RefusedForm) -> tuple[int, str, HtmlForm]:
    answer = api.client.post(f"/console/{form.path}", data=form.typed | {"csrf_token": token_of_any_page(api)})
    return answer.status_code, answer.text, read_forms(answer.text)[f"/console/{form.path}"]


def test_every_form_has_a_page_that_shows_it_again(api: Api) -> None:
    views = list_form_views(api)
    assert {*views} == {*TYPED, *BUTTONS, *WITHOUT_PAGE, "review:decide"}
    assert {view for view, page in views.items() if page is None} == WITHOUT_PAGE


@pytest.mark.parametrize("type_form", [*TYPED.values(), type_known_url])
def test_a_refused_form_comes_back_with_all_that_was_typed_and_each_error_at_its_field(
    api: Api, type_form: Callable[[Api], RefusedForm]
) -> None:
    form = type_form(api)
    status, page, shown = send_refused(api, form)
    assert 400 <= status < 500
    assert page.count('class="notice notice-bad" role="alert"') == 1
    for name, value in form.typed.items():
        assert shown.fields.get(name, []) == (value if isinstance(value, list) else [value]), name
    assert shown.faulty | {name for name in form.faulty if f'id="fault-{name}"' in page} == form.faulty
    assert all(f'id="fault-{name}"' in page for name in form.faulty)


def test_a_refused_review_keeps_its_note(api: Api, kept: PressFixture) -> None:
    print_blocked(kept)
    reviewer = api.make_key("rita", (Scope.SAFETY_REVIEW,))
    (image,) = api.get("/v1/quarantine?state=waiting", key=reviewer).json["data"]
    note = "x" * 600
    data = {"note": note, "csrf_token": token_of_any_page(api)}
    page = api.client.post(f"/console/review/{image['id']}/release", data=data)
    assert page.status_code == 422
    form = read_forms(page.text)[f"/console/review/{image['id']}/confirm"]
    assert (form.fields["note"], form.faulty) == ([note], {"note"})


def test_a_form_that_has_expired_comes_back_with_all_that_was_typed(api: Api) -> None:
    typed = {"prompt": "a long story", "steps": "7", "csrf_token": "of an earlier session"}
    page = api.client.post("/console/generate", data=typed)
    assert page.status_code == 403
    form = read_forms(page.text)["/console/generate"]
    assert (form.fields["prompt"], form.fields["steps"]) == (["a long story"], ["7"])
    assert api.count_jobs() == 0
    again = form.fields | {"csrf_token": form.fields["csrf_token"]}
    assert api.client.post("/console/generate", data=again).status_code == 303


@pytest.mark.parametrize(
    ("path", "back"),
    [
        (f"jobs/{UNKNOWN}", "Back to Jobs"),
        (f"jobs/{UNKNOWN}/cancel", "Back to Jobs"),
        (f"jobs/{UNKNOWN}/retry", "Back to Jobs"),
        (f"generate/pictures/{UNKNOWN}", "Back to Generate"),
        (f"campaigns/{UNKNOWN}/erase", "Back to Campaigns"),
        (f"campaigns/{UNKNOWN}/do/pause", "Back to Campaigns"),
        (f"webhooks/{UNKNOWN}/test", "Back to Webhooks"),
        (f"webhooks/{UNKNOWN}/deliveries/{UNKNOWN}/resend", "Back to Webhooks"),
        (f"review/{UNKNOWN}/release", "Back to Review"),
        ("styles/unknown", "Back to Styles"),
    ],
)
def test_an_unknown_id_is_told_on_a_page_of_the_console_with_a_way_back(api: Api, path: str, back: str) -> None:
    is_post = path.count("/") > 1
    data = {"csrf_token": token_of_any_page(api)}
    answer = api.client.post(f"/console/{path}", data=data) if is_post else api.client.get(f"/console/{path}")
    assert answer.status_code == 404
    assert '<nav aria-label="Sections">' in answer.text
    assert back in answer.text


def test_revoking_an_unknown_key_keeps_the_page(api: Api) -> None:
    answer = api.client.post("/console/keys/AAAAAAAA/revoke", data={"csrf_token": token_of_any_page(api)})
    assert answer.status_code == 404
    assert "<h2>New key</h2>" in answer.text
    assert 'role="alert"' in answer.text


def test_scripts_get_problems_in_json_and_never_a_page(api: Api) -> None:
    headers = {"Accept": "application/json", "X-CSRF-Token": token_of_any_page(api)}
    files = {"file": (io.BytesIO(b"GIF, or not"), "picture.png")}
    answer = api.client.post("/console/generate/pictures", data=files, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (422, "unsupported_image")
    api.client.post("/console/sign-out")
    answer = api.client.post("/console/generate/pictures", data=b"", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")
    assert "sign in again" in answer.json["detail"]


def test_a_form_sent_after_the_session_ended_is_told_so(api: Api) -> None:
    api.client.post("/console/sign-out")
    answer = api.client.post("/console/keys", data={"name": "shop"}, follow_redirects=True)
    assert "nothing was changed" in answer.text


def test_a_form_comes_back_with_all_that_was_typed_after_a_fault_of_the_service(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("api.console.pages.generate.submit_job", fail)
    data = {"prompt": "a long story", "csrf_token": token_of_any_page(api)}
    answer = api.client.post("/console/generate", data=data)
    assert answer.status_code == 500
    assert read_forms(answer.text)["/console/generate"].fields["prompt"] == ["a long story"]
    assert f"<code>{answer.headers['X-Request-Id']}</code>" in answer.text
