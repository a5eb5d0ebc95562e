"""The console's styles: made, changed by new versions, and shown where they are used; on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import update

from common.access.keys import Scope
from common.db.engine import Database
from common.tables import Image, Job
from tests.integration.console.test_access import sign_in, token
from tests.integration.console.test_pages import MOST_QUERIES, counting
from tests.support.apis import Api, open_api


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    opened = open_api(database, tmp_path)
    opened.key = sign_in(opened)
    return opened


def keep(api: Api, status: int = 303, **fields: object) -> str:
    answer = api.client.post("/console/styles/new", data={**fields, "csrf_token": token(api)})
    assert answer.status_code == status, answer.text
    return answer.headers["Location"] if status == 303 else answer.text


def test_a_style_is_created_by_form_and_its_next_version_starts_from_it(api: Api) -> None:
    form = {"name": "bright", "prompt_suffix": ", soft light", "model": "painted", "steps": "3", "width": "128"}
    form |= {"colour:0": "#ff8800", "colour:1": "#00FF00", "colour:5": "#123456"}
    location = keep(api, **form, use=["0", "1"])
    assert location == "/console/styles/bright?note=style-made"
    made = api.get("/v1/styles/bright").json
    assert (made["palette"], made["steps"], made["width"]) == (["#ff8800", "#00ff00"], 3, 128)
    assert (made["prompt_suffix"], made["height"], made["prompt_prefix"]) == (", soft light", None, "")
    shown = api.client.get("/console/styles/new?of=bright").text
    assert 'value=", soft light"' in shown
    assert 'value="#ff8800"' in shown
    assert shown.count(" checked") == 2
    assert keep(api, **form, use=["0", "1"]).endswith("note=style-same")
    keep(api, **form | {"steps": "4"})
    assert [each["version"] for each in api.get("/v1/styles/bright/versions").json["data"]] == [2, 1]
    page = api.client.get("/console/styles/bright").text
    assert "bright@1" in page
    assert "Not used yet" in page
    assert api.client.get("/console/styles/new?of=bright@1").text.count(" checked") == 2


def test_the_fields_of_a_style_take_precedence_over_the_forms_defaults(api: Api) -> None:
    keep(api, name="bright", steps="3", width="128", prompt_suffix=", soft light")
    assert ">bright</option>" in api.client.get("/console/generate").text
    form = {"prompt": "a fox", "style": "bright", "model": "painted", "steps": "20", "width": "512", "height": "64"}
    assert api.client.post("/console/generate", data=form | {"csrf_token": token(api)}).status_code == 303
    job = api.get("/v1/jobs").json["data"][0]
    asked = job["request"]
    assert (asked["steps"], asked["width"], asked["height"], asked["prompt"]) == (3, 128, 64, "a fox, soft light")
    assert job["style"] == "bright@1"


def test_the_gallery_is_narrowed_by_style_palette_and_campaign(api: Api) -> None:
    keep(api, name="bright")
    job_id, (image,) = api.print_job()
    with api.database.transaction() as session:
        session.execute(update(Job).where(Job.id == job_id).values(style_version="bright@1", campaign_id=job_id))
        session.execute(update(Image).where(Image.id == image.id).values(palette_score=0.8))
    api.print_job()
    for query, found in (
        *(("style=bright", 1), ("style=bright@1", 1), ("style=bright@2", 0), ("style=bri", 0)),
        *(("palette=half or more", 1), ("palette=nine tenths or more", 0), ("palette=nonsense", 2)),
        *((f"campaign={job_id}", 1), (f"campaign={image.id}", 0)),
    ):
        page = api.client.get(f"/console/gallery?{query}").text
        assert page.count('name="image"') == found, query
    assert "View all images in this style" in api.client.get("/console/styles/bright").text


def test_an_invalid_style_form_is_shown_again_with_all_errors_and_the_input(api: Api) -> None:
    text = keep(api, 422, name="bright", steps="many", width="0", prompt_prefix="<b>an oil", adapters="ink:much")
    for told in ("<b>steps</b>", "<b>width</b>", "adapters", 'value="&lt;b&gt;an oil"', 'value="ink:much"'):
        assert told in text
    assert api.get("/v1/styles").json["data"] == []


def test_a_style_lists_the_images_and_campaigns_that_use_it(api: Api) -> None:
    keep(api, name="bright")
    keep(api, name="bright.er")
    asked = {"prompt": "a fox", "style": "bright"}
    other = {"prompt": "a hen", "style": "bright.er"}
    for fields in (asked, other):
        assert api.post("/v1/jobs", json=fields).status_code == 202
    fields = {"name": "spring", "template": {"prompt": "a card"}, "budget": {"amount": "5"}, "style": "bright"}
    assert api.post("/v1/campaigns", json=fields).status_code == 201
    with counting(api.database) as sent:
        page = api.client.get("/console/styles/bright").text
    assert len(sent) <= MOST_QUERIES
    assert "spring" in page
    assert "spring" not in api.client.get("/console/styles/bright.er").text


def test_styles_of_other_owners_are_not_found_and_read_only_keys_change_none(api: Api) -> None:
    keep(api, name="bright")
    sign_in(api, Scope.STYLES_READ, Scope.JOBS_READ, owner="bob")
    assert api.client.get("/console/styles/bright").status_code == 404
    assert "bright" not in api.client.get("/console/styles").text
    assert "No styles yet" in api.client.get("/console/styles").text
    assert "/console/styles/new" not in api.client.get("/console/styles").text
    assert api.client.get("/console/styles/new").status_code == 403
