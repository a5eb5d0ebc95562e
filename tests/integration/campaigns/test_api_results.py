"""What became of a campaign's pictures, over HTTP: every row accounted for, as lines, as an archive, and to look at."""

import csv
import hashlib
import io
import json
import zipfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image as Pillow
from sqlalchemy import select, update

from common.access.keys import Scope
from common.campaigns import lifecycle, queries
from common.campaigns.results import lines as result_lines
from common.campaigns.spec import CampaignSpec, OnBlock
from common.clerk import orphans
from common.clock import utcnow
from common.images.provenance import DIGITAL_SOURCE_TYPE, PNG_XMP_KEYWORD
from common.jobs.request import OutputFormat
from common.states.campaigns import CampaignStatus
from common.tables import Asset, Campaign, Image, Recipient
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import CampaignFixture, add_list, arm, names, spec
from worker.pictures.encode import encode_picture
from worker.pictures.mark import Mark

ODD_NAME = 'Summer "24"\r\n../x; é'


@pytest.fixture
def api(campaign_fixture: CampaignFixture, tmp_path: Path) -> Api:
    return open_api(campaign_fixture.database, tmp_path / "api")


def start(
    campaign_fixture: CampaignFixture, people: list[str], chosen: CampaignSpec | None = None, **changes: Any
) -> UUID:
    campaign_id = campaign_fixture.campaign(people, chosen, **changes)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    return campaign_id


def store(api: Api) -> None:
    """Put a file behind every image that says it has one: a marked picture of one colour, a new one for each."""
    with api.database.transaction() as session:
        images = session.scalars(select(Image).where(Image.storage_key.is_not(None)).order_by(Image.id)).all()
        for number, image in enumerate(images):
            picture = Pillow.new("RGB", (32, 32), (40 * number % 256, 90, 200))
            data = encode_picture(picture, OutputFormat.PNG, Mark(job_id=image.job_id, model="painted"))
            api.storage.put(image.storage_key or "", data, "image/png")
            image.sha256 = hashlib.sha256(data).hexdigest()


def lines(api: Api, campaign_id: UUID) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/campaigns/{campaign_id}/results.jsonl")
    assert (answer.status_code, answer.content_type) == (200, "application/jsonl")
    return [json.loads(line) for line in answer.text.splitlines()]


def table(api: Api, campaign_id: UUID) -> list[dict[str, str]]:
    answer = api.get(f"/v1/campaigns/{campaign_id}/results.csv")
    assert answer.status_code == 200, answer.text
    assert answer.data.startswith(b"\xef\xbb\xbf"), "or Excel takes it for something else than UTF-8"
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def upload_asset(api: Api) -> UUID:
    file = io.BytesIO()
    Pillow.new("RGB", (64, 64), "navy").save(file, "PNG")
    answer = api.post("/v1/assets", data={"file": (io.BytesIO(file.getvalue()), "f.png")})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json["id"])


def rename(campaign_fixture: CampaignFixture, campaign_id: UUID, row: int, name: str) -> None:
    with campaign_fixture.database.transaction() as session:
        chosen = (Recipient.campaign_id == campaign_id, Recipient.row == row)
        session.execute(
            update(Recipient).where(*chosen).values(recipient_id=name, key=queries.normalise_recipient_id(name))
        )


def test_every_image_of_every_recipient_has_a_line(campaign_fixture: CampaignFixture, api: Api) -> None:
    chosen = spec(arm("a", prompt="a fox for {{ name }}", style="birthday@1"), images_per_recipient=2)
    campaign_id = start(campaign_fixture, ["ann", "bob", "ann"], chosen)
    campaign_fixture.print_one(palette_score=0.75, colours=[{"colour": "#ff8800", "share": 0.5}])
    campaign_fixture.block(campaign_fixture.claim())
    campaign_fixture.fail(campaign_fixture.claim())
    campaign_fixture.go_round()
    with campaign_fixture.database.transaction() as session:
        add_list(session, session.get_one(Campaign, campaign_id), 2, ["zoe"])
    found = lines(api, campaign_id)
    assert [(line["recipient_id"], line["index"], line["status"], line["picture"]) for line in found] == [
        ("1-1", 0, "printed", "own"),
        ("1-1", 1, "blocked", None),
        ("1-2", 0, "failed", None),
        ("1-2", 1, "ordered", None),
        ("1-3", 0, "printed", "shared"),
        ("1-3", 1, "blocked", None),
        ("2-1", 0, "unapproved", None),
        ("2-1", 1, "unapproved", None),
    ]
    first, blocked, failed = found[:3]
    assert (first["variant"], first["style"], first["palette_score"]) == ("a", "birthday@1", 0.75)
    assert (first["cost"], found[4]["cost"]["amount"]) == ({"amount": "0.01", "currency": "USD"}, "0")
    assert first["image_url"].endswith(f"/v1/images/{first['image_id']}/content")
    assert found[4]["image_id"] == first["image_id"]
    assert (first["safety"]["verdict"], first["error"], first["link"]) == ("pass", None, None)
    assert (blocked["error"]["code"], blocked["image_url"], blocked["cost"]["amount"]) == ("content_blocked", None, "0")
    assert (failed["error"]["code"], failed["error"]["retryable"]) == ("generation_failed", False)


def test_the_csv_table_says_the_same_and_contains_no_formula(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann", "bob"])
    rename(campaign_fixture, campaign_id, 1, "=cmd|' /C calc'!A0")
    campaign_fixture.print_all()
    rows, found = table(api, campaign_id), lines(api, campaign_id)
    assert [row["recipient_id"] for row in rows] == ["'=cmd|' /C calc'!A0", "1-2"]
    for row, line in zip(rows, found, strict=True):
        assert (row["status"], row["image_id"], row["seed"]) == ("printed", line["image_id"], str(line["seed"]))
        assert (row["cost"], row["error_code"]) == ("0.01", "")


def test_the_costs_of_the_lines_add_up_to_the_amount_spent(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann", "bob", "ann", "cid"])
    campaign_fixture.print_all(Decimal("0.013"))
    costs = [Decimal(line["cost"]["amount"]) for line in lines(api, campaign_id)]
    assert sum(costs) == campaign_fixture.read(campaign_id).spent == Decimal("0.039")


def test_many_rows_are_read_in_batches_without_an_open_transaction_between(
    campaign_fixture: CampaignFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_lines, "BATCH", 3)
    campaign_id = campaign_fixture.campaign(names(10))
    seen = []
    for line in result_lines.iterate_lines(campaign_fixture.database, campaign_fixture.read(campaign_id)):
        assert campaign_fixture.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # the pools that we use count
        seen.append(line.recipient.row)
    assert seen == list(range(1, 11))


def test_a_blocked_image_is_replaced_by_the_campaigns_fallback(campaign_fixture: CampaignFixture, api: Api) -> None:
    chosen = spec(on_block=OnBlock.FALLBACK, fallback_image=upload_asset(api))
    campaign_id = start(campaign_fixture, ["ann", "bob"], chosen)
    held = campaign_fixture.claim()
    assert held.request.fallback_image == chosen.fallback_image, "the press checks, encodes and marks it"
    campaign_fixture.publish(held, Decimal(0), gpu_seconds=0.0, safety={"fallback_for": {"verdict": "block"}})
    campaign_fixture.print_all()
    store(api)
    found = lines(api, campaign_id)
    assert [(line["status"], line["picture"]) for line in found] == [("blocked", "fallback"), ("printed", "own")]
    with zipfile.ZipFile(io.BytesIO(api.get(f"/v1/campaigns/{campaign_id}/archive.zip").data)) as archive:
        assert archive.namelist() == ["1-1-0.png", "1-2-0.png"]


def test_the_file_of_a_fallback_asset_is_never_served(campaign_fixture: CampaignFixture, api: Api) -> None:
    asset_id = upload_asset(api)
    campaign_id = start(campaign_fixture, ["ann", "bob"], spec(on_block=OnBlock.FALLBACK, fallback_image=asset_id))
    campaign_fixture.block(campaign_fixture.claim())
    campaign_fixture.print_all()
    store(api)
    with campaign_fixture.database.reading() as session:
        uploaded = api.storage.get(session.get_one(Asset, asset_id).storage_key)
    found = lines(api, campaign_id)
    assert [(line["status"], line["picture"]) for line in found] == [("blocked", None), ("printed", "own")]
    answer = api.get(f"/v1/campaigns/{campaign_id}/archive.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["1-2-0.png"]
        assert archive.read("1-2-0.png") != uploaded


def test_the_archive_names_each_image_by_the_requested_pattern(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann", "bob", "ann"], name=ODD_NAME)
    for row, name in enumerate(["../../etc/passwd", "a/b:c\u202e.exe", "CON"], 1):
        rename(campaign_fixture, campaign_id, row, name)
    campaign_fixture.print_all()
    store(api)
    path = f"/v1/campaigns/{campaign_id}/archive.zip"
    answer = api.get(path)
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''Summer")
    assert not {'"', "\r", "\n", "/"} & set(disposition.partition("''")[2])
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["_.._etc_passwd-0.png", "a_b_c.exe-0.png", "CON-0.png"]
        assert archive.read("CON-0.png") == archive.read("_.._etc_passwd-0.png"), "ann was printed once"
    with zipfile.ZipFile(io.BytesIO(api.get(f"{path}?name=card").data)) as archive:
        assert archive.namelist() == ["card.png", "card (2).png", "card (3).png"]
    with zipfile.ZipFile(io.BytesIO(api.get(f"{path}?name={{variant}}%20{{row}}").data)) as archive:
        assert archive.namelist() == ["main 1.png", "main 2.png", "main 3.png"]


@pytest.mark.parametrize("pattern", ["", "{nmae}", "{0.__class__}", "{recipient_id", "}{", "x" * 201])
def test_an_invalid_file_name_pattern_is_refused(api: Api, campaign_fixture: CampaignFixture, pattern: str) -> None:
    answer = api.get(f"/v1/campaigns/{campaign_fixture.campaign(['ann'])}/archive.zip", query_string={"name": pattern})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_parameter")
    assert answer.json["errors"][0]["parameter"] == "name"


def test_the_archive_reports_a_lost_image_and_contains_the_rest(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, ["ann", "bob"])
    campaign_fixture.print_all()
    store(api)
    with api.database.reading() as session:
        lost = session.scalars(select(Image.storage_key).order_by(Image.id)).first()
    api.storage.delete(lost or "")
    with zipfile.ZipFile(io.BytesIO(api.get(f"/v1/campaigns/{campaign_id}/archive.zip").data)) as archive:
        assert archive.namelist() == ["1-2-0.png", "left-out.txt"]
        assert "1-1, image 0" in archive.read("left-out.txt").decode()
    assert api.get(f"/v1/campaigns/{campaign_id}/contact-sheet.png").status_code == 200


def test_the_contact_sheet_is_marked_and_comes_in_pages(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = start(campaign_fixture, names(5))
    campaign_fixture.block(campaign_fixture.claim())
    campaign_fixture.print_all()
    store(api)
    path = f"/v1/campaigns/{campaign_id}/contact-sheet.png"
    answer = api.get(f"{path}?per_page=3")
    assert (answer.status_code, answer.content_type) == (200, "image/png")
    with Pillow.open(io.BytesIO(answer.data)) as sheet:
        sheet.load()
        assert DIGITAL_SOURCE_TYPE in sheet.info[PNG_XMP_KEYWORD]
    following = answer.headers["Link"].partition(">")[0].lstrip("<")
    last = api.get(following)
    assert (last.status_code, "Link" in last.headers) == (200, False)
    assert last.data != answer.data
    assert api.get(f"{path}?per_page=3&page=3").json["code"] == "not_found"
    assert api.get(f"{path}?per_page=101").json["code"] == "invalid_parameter"


@pytest.mark.parametrize("name", ["results.jsonl", "results.csv", "archive.zip", "contact-sheet.png"])
def test_results_are_visible_to_their_owner_alone(api: Api, campaign_fixture: CampaignFixture, name: str) -> None:
    campaign_id = campaign_fixture.campaign(["ann"])
    path = f"/v1/campaigns/{campaign_id}/{name}"
    assert api.get(path, key=api.make_key("eve")).json["code"] == "not_found"
    assert api.get(path, key=None).json["code"] == "unauthorized"
    assert api.get(path, key=api.make_key("ada", (Scope.JOBS_READ,))).json["code"] == "insufficient_scope"
    assert api.get(path).status_code == 200


def test_a_campaign_without_recipients_has_empty_results(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign([], status=CampaignStatus.DRAFT)
    assert lines(api, campaign_id) == table(api, campaign_id) == []
    assert api.get(f"/v1/campaigns/{campaign_id}/contact-sheet.png").status_code == 200
    with zipfile.ZipFile(io.BytesIO(api.get(f"/v1/campaigns/{campaign_id}/archive.zip").data)) as archive:
        assert archive.namelist() == []


def test_a_fallback_image_is_kept_as_long_as_its_campaign(campaign_fixture: CampaignFixture, api: Api) -> None:
    asset_id = upload_asset(api)
    campaign_id = campaign_fixture.campaign(["ann"], spec(on_block=OnBlock.FALLBACK, fallback_image=asset_id))
    assert api.call("DELETE", f"/v1/assets/{asset_id}").json["code"] == "asset_in_use"
    with api.database.transaction() as session:
        session.execute(update(Asset).values(expires_at=utcnow() - timedelta(seconds=1)))
    orphans.collect_assets(api.database, api.storage)
    assert len(list(api.storage.list_keys(""))) == 1
    campaign_fixture.age(campaign_id, "deleted_at", timedelta())
    orphans.collect_assets(api.database, api.storage)
    assert list(api.storage.list_keys("")) == []
