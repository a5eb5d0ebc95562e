"""What repeats a job, a style or a campaign keeps all of its settings; on both databases."""

import io
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, update

from api.campaigns.schemas import NewCampaign
from api.console.pages import generate_form, generate_repeat, styles as style_pages
from api.console.pages.campaigns import form as campaign_form
from api.jobs.schemas import NewJob, Request
from api.jobs.styles import NewStyle
from common.clock import utcnow
from common.db.engine import Database
from common.models import catalog
from common.models.catalog import AdapterCard
from common.tables import Asset, Campaign
from tests.integration.console.test_access import sign_in, token_of_any_page
from tests.support.apis import Api, open_api
from tests.support.html_forms import read_forms
from tests.support.picture_files import encode, picture

ADAPTERS = [AdapterCard(name=name, title=name.title(), default_scale=1.0) for name in ("ink", "oil", "chalk")]
STYLE = {
    "name": "bright",
    "prompt_prefix": "a watercolour of",
    "prompt_suffix": ", soft light",
    "negative_prompt": "fog",
    "model": "painted",
    "width": 128,
    "height": 64,
    "steps": 7,
    "guidance_scale": 4.3,
    "scheduler": "ddim",
    "output_format": "webp",
    "adapters": [{"name": "ink", "scale": 0.33}, {"name": "oil"}],
    "palette": ["#ff8800", "#00ff00"],
}


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    opened = open_api(database, tmp_path)
    opened.key = sign_in(opened)
    with database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD.model_copy(update={"adapters": ADAPTERS})])
    return opened


def upload(api: Api) -> str:
    headers = {"X-CSRF-Token": token_of_any_page(api), "Accept": "application/json"}
    files = {"file": (io.BytesIO(encode(picture((64, 64)))), "picture.png")}
    return str(api.client.post("/console/generate/pictures", data=files, headers=headers).json["id"])


def make_full_job(api: Api, **changes: Any) -> dict[str, Any]:
    """Return a job that sets every field which shapes its images."""
    fields = {
        "prompt": "a fox",
        "negative_prompt": "snow",
        "model": "painted",
        "width": 128,
        "height": 64,
        "steps": 140,
        "guidance_scale": 27.35,
        "seed": 42,
        "num_images": 2,
        "scheduler": "ddim",
        "output_format": "webp",
        "adapters": [{"name": "ink", "scale": 0.33}, {"name": "oil", "scale": -1.5}],
        "init_image": upload(api),
        "mask_image": upload(api),
        "strength": 0.37,
        "palette": ["#ff8800", "#00ff00"],
        "safety": {"block_above": 0.11, "review_above": 0.05, "on_block": "reroll", "review_action": "blur"},
    }
    return api.make_job(**fields | changes)


def read_generate_form(page: str) -> dict[str, Any]:
    """Return what a browser would send: the fields of the page, and the adapters that its script ticks."""
    found = re.search(r'<script type="application/json" id="cards">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    values = json.loads(found.group(1))["fields"]
    form: dict[str, Any] = dict(read_forms(page)["/console/generate"].fields)
    scales = {f"scale:{name}": str(scale) for name, scale in values["scales"].items()}
    # The script fills in the options of the scheduler too.
    return form | scales | {"adapter": values["adapters"], "scheduler": values.get("scheduler", "")}


def repeat(api: Api, query: str, **changes: Any) -> dict[str, Any]:
    """Open the form that repeats a job, send it as it is but for *changes*, and return the new job."""
    form = read_generate_form(api.client.get(f"/console/generate?{query}").text)
    answer = api.client.post("/console/generate", data=form | changes)
    assert answer.status_code == 303, answer.text
    job: dict[str, Any] = api.get(f"/v1/jobs/{answer.headers['Location'].split('job=')[1].split('&')[0]}").json
    return job


def test_every_field_of_a_request_is_in_the_form_or_repeated_without_it_or_left_out_for_a_reason() -> None:
    known = {*generate_form.FIELDS, *generate_repeat.HIDDEN, *generate_repeat.NOT_REPEATED}
    assert known == {*NewJob.model_fields}
    assert {*Request.model_fields} <= known
    assert len(known) == sum(map(len, (generate_form.FIELDS, generate_repeat.HIDDEN, generate_repeat.NOT_REPEATED)))


def test_the_form_has_every_field_that_it_is_said_to_have(api: Api) -> None:
    page = api.client.get(f"/console/generate?job={make_full_job(api)['id']}").text
    form = read_generate_form(page)
    with_style = {*form, "style"}  # offered once there are styles
    assert {*generate_form.FIELDS} - {"adapters"} <= with_style
    assert form["adapter"] == ["ink", "oil"]


def test_a_repeated_job_is_the_same_request_again(api: Api) -> None:
    job = make_full_job(api)
    again = repeat(api, f"job={job['id']}&seed=same")
    assert again["id"] != job["id"]
    assert again["request"] == job["request"]
    assert again["palette"] == job["palette"]
    fresh = repeat(api, f"job={job['id']}")
    assert fresh["request"] | {"seed": 42} == job["request"]
    assert fresh["request"]["seed"] != 42


def test_the_palette_and_the_policy_of_an_earlier_job_can_be_left_out(api: Api) -> None:
    job = make_full_job(api)
    page = api.client.get(f"/console/generate?job={job['id']}").text
    assert "Use the palette and the stricter safety policy of job" in page
    other = repeat(api, f"job={job['id']}", repeats="")
    assert other["palette"] == []
    assert other["request"]["safety"]["block_above"] > 0.11
    assert "safety policy of job" not in api.client.get(f"/console/generate?job={api.make_job()['id']}").text


def test_a_varied_image_keeps_everything_but_its_source(api: Api) -> None:
    job, start = make_full_job(api), upload(api)
    varied = repeat(api, f"job={job['id']}&seed=same&start={start}")
    kept = {"init_image", "mask_image", "strength", "num_images"}
    assert {name: value for name, value in varied["request"].items() if name not in kept} == {
        name: value for name, value in job["request"].items() if name not in kept
    }
    assert (varied["request"]["init_image"], varied["request"]["mask_image"]) == (start, None)


def test_a_job_in_a_style_is_repeated_in_the_same_version_of_the_style(api: Api) -> None:
    assert api.post("/v1/styles", json=STYLE).status_code == 201
    job = api.make_job(prompt="a fox", style="bright", seed=5)
    assert api.post("/v1/styles", json=STYLE | {"prompt_suffix": ", hard light"}).status_code == 201
    again = repeat(api, f"job={job['id']}&seed=same")
    assert (again["style"], again["request"], again["palette"]) == ("bright@1", job["request"], STYLE["palette"])
    other = repeat(api, f"job={job['id']}&seed=same", prompt="a hen")
    assert other["request"]["prompt"] == "a watercolour of a hen, soft light"
    newest = repeat(api, f"job={job['id']}&seed=same", style="bright")
    assert (newest["style"], newest["request"]["prompt"]) == ("bright@2", "a watercolour of a fox, hard light")


def test_a_job_that_overruled_its_style_is_repeated_as_it_was(api: Api) -> None:
    assert api.post("/v1/styles", json=STYLE).status_code == 201
    job = api.make_job(prompt="a fox", style="bright", steps=9, seed=5)
    again = repeat(api, f"job={job['id']}&seed=same")
    assert (again["request"], again["palette"]) == (job["request"], job["palette"])


def test_a_palette_of_its_own_is_kept_beside_the_style_until_another_is_chosen(api: Api) -> None:
    assert api.post("/v1/styles", json=STYLE).status_code == 201
    assert api.post("/v1/styles", json={"name": "plain"}).status_code == 201
    job = api.make_job(prompt="a fox", style="bright", palette=["#123456"], seed=5)
    again = repeat(api, f"job={job['id']}&seed=same")
    assert (again["style"], again["palette"], again["request"]) == ("bright@1", ["#123456"], job["request"])
    assert repeat(api, f"job={job['id']}&seed=same", style="plain")["palette"] == []


def test_what_is_gone_since_the_job_is_told_and_left_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.runtime.model_cache.FRESH_SECONDS", 0.0)
    job = make_full_job(api)
    with api.database.transaction() as session:
        session.execute(delete(Asset).where(Asset.id == UUID(job["request"]["mask_image"])))
        card = catalog.PAINTED_CARD.model_copy(update={"adapters": ADAPTERS[1:], "schedulers": []})
        catalog.register_models(session, [card])
    page = api.client.get(f"/console/generate?job={job['id']}").text
    for told in ("The mask of this job was deleted", "The LoRA ink of this job", "The scheduler ddim of this job"):
        assert told in page
    again = repeat(api, f"job={job['id']}")["request"]
    assert (again["mask_image"], again["init_image"]) == (None, job["request"]["init_image"])
    assert [each["name"] for each in again["adapters"]] == ["oil"]
    with api.database.transaction() as session:
        session.execute(update(Asset).values(expires_at=utcnow() - timedelta(seconds=1)))
    page = api.client.get(f"/console/generate?job={job['id']}").text
    assert "The source image of this job was deleted" in page
    assert repeat(api, f"job={job['id']}")["request"]["init_image"] is None


def test_a_refused_form_keeps_its_adapters_and_their_strengths(api: Api) -> None:
    form = {"prompt": "", "adapter": ["ink"], "scale:ink": "0.3", "scale:oil": "0.7"}
    page = api.client.post("/console/generate", data=form | {"csrf_token": token_of_any_page(api)}).text
    shown = read_generate_form(page)
    assert (shown["adapter"], shown["scale:ink"], shown["scale:oil"]) == (["ink"], "0.3", "0.7")


def test_the_next_version_of_a_style_starts_with_all_of_its_settings(api: Api) -> None:
    made = api.post("/v1/styles", json=STYLE).json
    form: dict[str, Any] = dict(
        read_forms(api.client.get("/console/styles/new?of=bright").text)["/console/styles/new"].fields
    )
    shown = {"adapters", "palette", *style_pages.TEXT_FIELDS, *style_pages.NUMBER_FIELDS}
    assert shown == {*NewStyle.model_fields}
    same = api.client.post("/console/styles/new", data=form)
    assert same.headers["Location"].endswith("note=style-same")
    assert api.client.post("/console/styles/new", data=form | {"steps": "9"}).status_code == 303
    left = ("id", "version", "reference", "created_at", "steps")
    newest = api.get("/v1/styles/bright").json
    assert {name: value for name, value in newest.items() if name not in left} == {
        name: value for name, value in made.items() if name not in left
    }


def make_full_campaign(api: Api) -> dict[str, Any]:
    """Return the body of a campaign that sets every field."""
    later = (utcnow() + timedelta(days=2)).isoformat()
    look = {"scheduler": "ddim", "guidance_scale": 4.3, "adapters": [{"name": "ink", "scale": 0.33}], "steps": 7}
    return {
        "name": "spring",
        "template": {"prompt": "a {{ pet }}", "negative_prompt": "fog"},
        "budget": {"amount": "5"},
        "defaults": look | {"model": "painted", "width": 64, "height": 128, "palette": ["#ff8800"]},
        "style": None,
        "images_per_recipient": 2,
        "variants": [
            {"name": "plain", "weight": 3},
            {"name": "big", "template": {"prompt": "a big {{ pet }}"}, "defaults": {"output_format": "jpeg"}},
            *({"name": f"arm-{place}"} for place in range(3)),
        ],
        "seed_rule": "fixed",
        "seed": 11,
        "on_block": "fallback",
        "fallback_image": upload(api),
        "palette_floor": 0.2,
        "max_rerolls": 5,
        "start_at": (utcnow() + timedelta(days=1)).isoformat(),
        "deadline": later,
        "priority": "interactive",
        "allow_identical": True,
        "metadata": {"order": "17"},
        "webhook_url": "https://hooks.example/a",
        "webhook_events": ["campaign.completed"],
    }


def read_body(api: Api, campaign_id: str) -> dict[str, Any]:
    with api.database.reading() as session:
        return dict(session.get_one(Campaign, UUID(campaign_id)).body)


def test_a_duplicated_campaign_keeps_every_setting_but_its_moments(api: Api) -> None:
    body = {name: value for name, value in make_full_campaign(api).items() if value is not None}
    assert {*body, "style"} == {*NewCampaign.model_fields}
    made = api.post("/v1/campaigns", json=body)
    assert made.status_code == 201, made.text
    page = api.client.get(f"/console/campaigns/new?like={made.json['id']}").text
    form = read_forms(page)["/console/campaigns"].fields
    answer = api.client.post("/console/campaigns", data=form)
    assert answer.status_code == 303, answer.text
    copied = read_body(api, answer.headers["Location"].split("/")[3])
    assert copied == {name: value for name, value in body.items() if name not in campaign_form.NEVER_COPIED}
    assert "webhook url" in page
    plain = api.client.post("/console/campaigns", data=form | {"like": "", "on_block": "fail"})
    assert {*read_body(api, plain.headers["Location"].split("/")[3])} == {
        *(each for each in campaign_form.SHOWN_FIELDS if each not in ("style", "fallback_image")),
        *("defaults", "variants"),
    }


def test_a_copy_of_a_campaign_that_was_deleted_says_what_it_cannot_copy(api: Api) -> None:
    body = {name: value for name, value in make_full_campaign(api).items() if value is not None}
    made = api.post("/v1/campaigns", json=body).json["id"]
    form = read_forms(api.client.get(f"/console/campaigns/new?like={made}").text)["/console/campaigns"].fields
    assert api.call("DELETE", f"/v1/campaigns/{made}").status_code == 204
    refused = api.client.post("/console/campaigns", data=form)
    assert "cannot be copied" in refused.text
    again = read_forms(refused.text)["/console/campaigns"].fields
    assert again["arm-prompt-1"] == ["a big {{ pet }}"]
    assert again["arm-name-4"] == ["arm-2"]
    assert api.client.post("/console/campaigns", data=again).status_code == 303
