"""Parts of a console page that need a second scope are shown only to keys that have it; on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import update

from common.access.keys import Scope
from common.db.engine import Database
from common.tables import Job
from tests.integration.console.test_access import sign_in
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import make_campaign


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    """A style ``bright``, a print and a campaign of it."""
    opened = open_api(database, tmp_path)
    opened.key = sign_in(opened)
    assert opened.post("/v1/styles", json={"name": "bright"}).status_code == 201
    opened.print_job()
    with database.transaction() as session:
        session.execute(update(Job).values(style_version="bright@1"))
    make_campaign(opened, name="spring", style="bright", template={"prompt": "a hidden card"})
    return opened


def see(api: Api, path: str, *scopes: Scope, status: int = 200) -> str:
    sign_in(api, *scopes)
    answer = api.client.get(f"/console{path}")
    assert answer.status_code == status, answer.text
    return answer.text


def test_a_style_shows_images_and_campaigns_to_keys_that_may_read_them(api: Api) -> None:
    alone = see(api, "/styles/bright", Scope.STYLES_READ)
    assert 'class="print"' not in alone
    assert "spring" not in alone
    assert "Not used yet" not in alone
    with_jobs = see(api, "/styles/bright", Scope.STYLES_READ, Scope.JOBS_READ)
    assert 'class="print"' in with_jobs
    assert "spring" not in with_jobs
    with_campaigns = see(api, "/styles/bright", Scope.STYLES_READ, Scope.CAMPAIGNS_READ)
    assert 'class="print"' not in with_campaigns
    assert "spring" in with_campaigns


def test_the_gallery_names_styles_and_campaigns_to_keys_that_may_read_them(api: Api) -> None:
    alone = see(api, "/gallery", Scope.JOBS_READ)
    assert ">bright<" not in alone
    assert "spring" not in alone
    both = see(api, "/gallery", Scope.JOBS_READ, Scope.STYLES_READ, Scope.CAMPAIGNS_READ)
    assert ">bright<" in both
    assert "spring" in both


def test_the_create_form_shows_styles_and_jobs_to_keys_that_may_read_them(api: Api) -> None:
    job_id = api.get("/v1/jobs").json["data"][0]["id"]
    alone = see(api, f"/generate?job={job_id}", Scope.JOBS_WRITE)
    assert f"/console/generate/{job_id}/now" not in alone
    assert ">bright<" not in alone
    both = see(api, f"/generate?job={job_id}", Scope.JOBS_WRITE, Scope.JOBS_READ, Scope.STYLES_READ)
    assert f"/console/generate/{job_id}/now" in both
    assert ">bright<" in both


def test_forms_start_from_campaigns_and_styles_for_keys_that_may_read_them(api: Api) -> None:
    campaign_id = api.get("/v1/campaigns").json["data"][0]["id"]
    path = f"/campaigns/new?like={campaign_id}"
    assert "a hidden card" not in see(api, path, Scope.CAMPAIGNS_WRITE, status=403)
    assert "a hidden card" in see(api, path, Scope.CAMPAIGNS_WRITE, Scope.CAMPAIGNS_READ)
    see(api, "/styles/new?of=bright", Scope.STYLES_WRITE, status=403)
    assert 'value="bright"' in see(api, "/styles/new?of=bright", Scope.STYLES_WRITE, Scope.STYLES_READ)


def test_the_audit_trail_is_shown_to_keys_that_may_read_it(api: Api) -> None:
    see(api, "/audit", Scope.KEYS_ADMIN, status=403)
    shown = see(api, "/audit?act=key.created&from=2020-01-01", Scope.AUDIT_READ)
    assert "key.created" in shown
    assert "jobs:write" in shown
    assert "No events" in see(api, "/audit?to=2020-01-01", Scope.AUDIT_READ)
    assert 'href="/console/audit"' in see(api, "/keys", Scope.AUDIT_READ, Scope.KEYS_ADMIN)
