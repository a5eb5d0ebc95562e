"""Uploads have places for each owner: a refused one has begun nothing, and another owner is not kept out."""

from pathlib import Path

import pytest

from api.campaigns import recipient_upload
from common.access import keys
from common.campaigns.recipients.formats.xlsx import sheet as xlsx_sheet
from common.db.engine import Database
from common.launcher.subprocess_sandbox import Sandbox
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import make_campaign, put
from tests.support.campaigns.workbooks import MEDIA_TYPE, workbook

WORKBOOK = workbook([["name", "pet"], ["Ada", "fox"]])


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def test_a_refused_workbook_begins_no_list_and_leaves_its_campaign_as_it_was(api: Api) -> None:
    made = make_campaign(api)
    with recipient_upload._workbook_places.take("ada", "too_many_uploads", ""):
        refused = put(api, made, WORKBOOK, kind=MEDIA_TYPE)
    assert (refused.status_code, refused.json["code"], refused.headers["Retry-After"]) == (429, "too_many_uploads", "5")
    assert api.get(f"/v1/campaigns/{made['id']}").json["status"] == "draft"
    accepted = put(api, made, WORKBOOK, kind=MEDIA_TYPE)
    assert (accepted.status_code, accepted.json["number"]) == (200, 1), "the refused upload was no list"


def test_a_workbook_that_gets_no_process_in_time_leaves_its_campaign_as_it_was(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_campaign(api)
    monkeypatch.setattr(xlsx_sheet, "_sandbox", Sandbox(memory_bytes=2**30, cpu_seconds=1, places=1, wait_seconds=0))
    with xlsx_sheet._sandbox._places:
        assert put(api, made, WORKBOOK, kind=MEDIA_TYPE).json["code"] == "too_many_uploads"
    assert api.get(f"/v1/campaigns/{made['id']}").json["status"] == "draft"
    assert put(api, made, WORKBOOK, kind=MEDIA_TYPE).status_code == 200


def test_the_workbooks_of_one_owner_do_not_keep_out_those_of_another(api: Api) -> None:
    with api.database.transaction() as session:
        api.key = keys.create_api_key(session, "eve")
    made = make_campaign(api)
    with recipient_upload._workbook_places.take("ada", "too_many_uploads", ""):
        assert recipient_upload._workbook_places.try_take("ada") is None
        assert put(api, made, WORKBOOK, kind=MEDIA_TYPE).status_code == 200
