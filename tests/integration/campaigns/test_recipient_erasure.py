"""One person is erased: nothing names them any more, nobody else loses anything, and the cost stays."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from common.campaigns import lifecycle as campaign_lifecycle
from common.campaigns.printing import proofs
from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.spec import CampaignSpec, OnBlock
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.states.campaigns import CampaignStatus, PrintStatus
from common.states.jobs import ImageStatus, JobStatus
from common.tables import Campaign, Image, Job, Recipient, RecipientList, RejectedRow
from tests.integration.campaigns.test_api_results import lines, store, table
from tests.support import factories
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import CampaignFixture, add_list, approve, spec
from tests.support.dumps import dump
from tests.support.waiting import until

CUSTOMER_TEXT = "canary-3f9a"
WHO = f"{CUSTOMER_TEXT}@example"


@pytest.fixture
def api(campaign_fixture: CampaignFixture, tmp_path: Path) -> Api:
    return open_api(campaign_fixture.database, tmp_path / "api")


def begin(campaign_fixture: CampaignFixture, people: list[str], chosen: CampaignSpec | None = None) -> UUID:
    """Start a campaign whose first recipient has the marker as its id and as a value."""
    campaign_id = campaign_fixture.campaign(people, chosen)
    with campaign_fixture.database.transaction() as session:
        first = (Recipient.campaign_id == campaign_id, Recipient.row == 1)
        session.execute(update(Recipient).where(*first).values(recipient_id=WHO, key=WHO))
    campaign_fixture.do(campaign_id, campaign_lifecycle.start_campaign, campaign_fixture.settings)
    return campaign_id


def erase(api: Api, campaign_id: UUID, who: str = WHO) -> dict[str, Any]:
    answer = api.call("DELETE", f"/v1/campaigns/{campaign_id}/recipients/{who}")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_an_erased_recipient_appears_nowhere_but_the_cost_stays(
    campaign_fixture: CampaignFixture, api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    campaign_id = begin(campaign_fixture, [f"{CUSTOMER_TEXT} ann", "bob"])
    campaign_fixture.print_all()
    store(api)
    assert CUSTOMER_TEXT in dump(campaign_fixture.database)
    spent = campaign_fixture.read(campaign_id).spent
    gone = erase(api, campaign_id, f"{CUSTOMER_TEXT.upper()}@EXAMPLE")
    assert (gone["pictures"], gone["shared"], gone["jobs"]) == (1, 0, 1)
    assert gone["cost"] == {"amount": "0.01", "currency": "USD"}
    for found in (dump(campaign_fixture.database), "".join(api.storage.list_keys("")), "".join(capfd.readouterr())):
        assert CUSTOMER_TEXT not in found
    assert len(list(api.storage.list_keys(""))) == 1, "bob's picture is there"
    first, second = lines(api, campaign_id)
    assert (first["recipient_id"], first["status"], first["image_id"]) == (gone["tombstone"], "erased", None)
    assert (first["cost"]["amount"], second["status"]) == ("0.01", "printed")
    assert campaign_fixture.read(campaign_id).spent == spent
    answer = api.call("DELETE", f"/v1/campaigns/{campaign_id}/recipients/{CUSTOMER_TEXT}@example")
    assert answer.json["code"] == "not_found", "nobody can tell any more that they were there"


def test_an_image_shared_with_other_recipients_is_kept_for_them(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = begin(campaign_fixture, ["ann", "ann", "ann"])
    campaign_fixture.print_all()
    store(api)
    before = lines(api, campaign_id)
    gone = erase(api, campaign_id)
    assert (gone["pictures"], gone["shared"], gone["cost"]["amount"]) == (0, 1, "0")
    after = lines(api, campaign_id)
    assert [line["status"] for line in after] == ["erased", "printed", "printed"]
    assert [line["picture"] for line in after] == [None, "own", "shared"]
    assert [line["image_id"] for line in after[1:]] == [line["image_id"] for line in before[1:]]
    assert [line["cost"]["amount"] for line in after] == ["0", "0.01", "0"], "the cost goes with the picture"
    assert api.get(f"/v1/images/{after[1]['image_id']}/content").status_code == 200
    with campaign_fixture.database.reading() as session:
        assert session.scalars(select(Job.recipient_id)).all() == ["1-2"]
    erase(api, campaign_id, "1-3")
    assert [line["status"] for line in lines(api, campaign_id)] == ["erased", "printed", "erased"]
    assert erase(api, campaign_id, "1-2")["pictures"] == 1
    assert list(api.storage.list_keys("")) == []


def test_the_job_of_an_erased_recipient_stops_and_others_sharing_it_get_theirs(
    campaign_fixture: CampaignFixture, api: Api
) -> None:
    campaign_id = begin(campaign_fixture, [CUSTOMER_TEXT, "bob", "bob"])
    with campaign_fixture.database.transaction() as session:
        bob = session.scalars(select(Recipient).where(Recipient.campaign_id == campaign_id, Recipient.row == 2)).one()
        assert bob.recipient_id == "1-2"
    held = campaign_fixture.claim()
    assert held is not None
    erase(api, campaign_id)
    assert erase(api, campaign_id, "1-2")["shared"] == 1, "the job goes on for the third"
    with campaign_fixture.database.reading() as session:
        statuses = {row.recipient_id: row.status for row in session.execute(select(Job.recipient_id, Job.status))}
    assert statuses == {None: JobStatus.CANCELED, "1-3": JobStatus.QUEUED}
    campaign_fixture.print_all()
    assert [line["status"] for line in lines(api, campaign_id)] == ["erased", "erased", "printed"]
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held, campaign.spent) == (CampaignStatus.COMPLETED, 0, Decimal("0.01"))


def test_an_erased_recipient_not_yet_queued_is_never_printed(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = campaign_fixture.campaign([CUSTOMER_TEXT, "bob"])
    erase(api, campaign_id, "1-1")
    campaign_fixture.do(campaign_id, campaign_lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 1
    assert [line["status"] for line in lines(api, campaign_id)] == ["erased", "printed"]
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED
    assert CUSTOMER_TEXT not in dump(campaign_fixture.database)


def test_proofing_ends_when_the_last_open_proof_is_erased(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = campaign_fixture.campaign(["ann", "bob", "cid"], status=CampaignStatus.READY)
    campaign_fixture.do(campaign_id, proofs.submit_proofs, 2)
    campaign_fixture.print_one()
    campaign_fixture.go_round()
    (left,) = (made for made in campaign_fixture.prints(campaign_id) if made.status is PrintStatus.ORDERED)
    with campaign_fixture.database.reading() as session:
        who = session.get_one(Recipient, left.recipient_pk).recipient_id
    erase(api, campaign_id, who)
    campaign_fixture.go_round()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held) == (CampaignStatus.READY, 0)
    assert campaign.quote is not None
    assert campaign.quote["proofs"] == 1


def test_an_erasure_does_not_deadlock_with_writers_that_lock_jobs_in_order(
    campaign_fixture: CampaignFixture, api: Api
) -> None:
    campaign_id = campaign_fixture.campaign([CUSTOMER_TEXT])
    with campaign_fixture.database.transaction() as session:
        campaign = session.get_one(Campaign, campaign_id)
        for number, name in ((2, "ann"), (3, "ann")):
            add_list(session, campaign, number, [name])
        both = (Recipient.campaign_id == campaign_id, Recipient.list_number <= 2)
        session.execute(update(Recipient).where(*both).values(recipient_id=WHO, key=WHO))
        approve(session, campaign, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, campaign_lifecycle.start_campaign, campaign_fixture.settings)
    with ThreadPoolExecutor(1) as eraser:
        with campaign_fixture.database.transaction() as session:
            first, second = session.scalars(select(Job.id).order_by(Job.id)).all()
            session.scalars(select(Job.id).where(Job.id == first).with_for_update()).one()
            erasing = eraser.submit(erase, api, campaign_id)
            until(
                lambda: erasing.running() and waits_for_lock(campaign_fixture), "the erasure to wait for the first job"
            )
            session.scalars(select(Job.id).where(Job.id == second).with_for_update()).one()
        assert erasing.result()["shared"] == 1


def waits_for_lock(campaign_fixture: CampaignFixture) -> bool:
    """Tell whether anybody waits for a row; in SQLite all who write wait for each other."""
    if campaign_fixture.database.engine.dialect.name == "sqlite":
        return True
    with campaign_fixture.database.reading() as session:
        return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def test_earlier_attempts_at_an_image_are_erased_with_it(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = begin(campaign_fixture, [CUSTOMER_TEXT], spec(on_block=OnBlock.REROLL, palette_floor=0.9))
    campaign_fixture.print_one(palette_score=0.2)
    campaign_fixture.go_round()
    campaign_fixture.print_one(palette_score=0.95)
    campaign_fixture.go_round()
    store(api)
    assert len(list(api.storage.list_keys(""))) == 2
    gone = erase(api, campaign_id)
    assert (gone["pictures"], gone["jobs"], gone["cost"]["amount"]) == (2, 2, "0.02")
    assert list(api.storage.list_keys("")) == []
    assert CUSTOMER_TEXT not in dump(campaign_fixture.database)


def test_rejected_rows_of_the_same_person_are_blanked(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = begin(campaign_fixture, ["ann"])
    errors = [{"code": "missing_value", "column": "name", "detail": f"of {CUSTOMER_TEXT}"}]
    with campaign_fixture.database.transaction() as session:
        added = add_list(session, session.get_one(Campaign, campaign_id), 2, [])
        added.columns, added.id_column = ["name", "recipient_id"], "recipient_id"
        for row, name in enumerate((WHO, "somebody else"), 1):
            session.add(RejectedRow(campaign_id=campaign_id, list_number=2, row=row, fields=["", name], errors=errors))
    assert erase(api, campaign_id)["rejected_rows"] == 1
    with campaign_fixture.database.reading() as session:
        kept = session.scalars(select(RejectedRow).order_by(RejectedRow.row)).all()
    assert [row.fields for row in kept] == [["", ""], ["", "somebody else"]]
    assert [row.errors[0]["code"] for row in kept] == ["erased", "missing_value"]


def test_rejected_rows_of_a_list_without_ids_are_found_by_the_id_column_of_another(
    campaign_fixture: CampaignFixture, api: Api
) -> None:
    campaign_id = begin(campaign_fixture, ["ann"])
    errors = [{"code": "missing_value", "column": "name", "detail": "empty"}]
    with campaign_fixture.database.transaction() as session:
        campaign = session.get_one(Campaign, campaign_id)
        for number, id_column in ((2, None), (3, "email")):
            added = add_list(session, campaign, number, [])
            added.columns, added.id_column = ["email", "name"], id_column
            added.reading = asdict(Reading("windows-1252", is_guessed=True, sample=WHO))
        for row, name in enumerate((WHO, "somebody else"), 1):
            session.add(RejectedRow(campaign_id=campaign_id, list_number=2, row=row, fields=[name, ""], errors=errors))
    assert erase(api, campaign_id)["rejected_rows"] == 1
    with campaign_fixture.database.reading() as session:
        kept = session.scalars(select(RejectedRow).order_by(RejectedRow.row)).all()
        samples = session.scalars(select(RecipientList.reading).where(RecipientList.number > 1)).all()
    assert [row.fields for row in kept] == [["", ""], ["somebody else", ""]]
    assert [reading["sample"] for reading in samples if reading is not None] == [None, None]


def test_quarantined_images_are_erased_too(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = begin(campaign_fixture, [CUSTOMER_TEXT])
    held = campaign_fixture.claim()
    assert held is not None
    (image,) = factories.images(held, ImageStatus.BLOCKED)
    image.status = ImageStatus.QUARANTINED
    with campaign_fixture.database.transaction() as session:
        lifecycle.block_job(session, held, [image], Spent(1.0))
    campaign_fixture.go_round()
    erase(api, campaign_id)
    with campaign_fixture.database.reading() as session:
        assert session.scalars(select(Image.status)).all() == [ImageStatus.ERASED]
    used = api.get("/v1/usage").json["total"]
    assert (used["images"], used["waste_gpu_seconds"]) == (0, {"blocked": 1.0}), "nobody ever saw it"
    assert api.get(f"/v1/jobs/{held.job_id}").json["cost"]["gpu_seconds"] == 0


def test_an_erasure_succeeds_while_storage_is_unavailable(
    campaign_fixture: CampaignFixture, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = begin(campaign_fixture, [CUSTOMER_TEXT])
    campaign_fixture.print_all()
    store(api)
    root = api.storage.root
    away = root.with_name("away")
    root.rename(away)
    root.write_text("not a directory")
    try:
        assert erase(api, campaign_id)["pictures"] == 1
    finally:
        root.unlink()
        away.rename(root)
    (line,) = table(api, campaign_id)
    assert line["status"] == "erased"


def test_only_the_owner_can_erase_a_recipient(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = begin(campaign_fixture, [CUSTOMER_TEXT])
    path = f"/v1/campaigns/{campaign_id}/recipients/{CUSTOMER_TEXT}@example"
    assert api.call("DELETE", path, key=api.make_key("eve")).json["code"] == "not_found"
    assert api.call("DELETE", f"/v1/campaigns/{campaign_id}/recipients/nobody").json["code"] == "not_found"
    assert campaign_fixture.count(campaign_id, PrintStatus.ERASED) == 0


def test_a_recipient_id_may_contain_any_character(campaign_fixture: CampaignFixture, api: Api) -> None:
    campaign_id = campaign_fixture.campaign(["ann"])
    with campaign_fixture.database.transaction() as session:
        session.execute(update(Recipient).values(recipient_id="DE/17 ä?#", key="DE/17 ä?#"))
    assert erase(api, campaign_id, "DE/17%20%C3%A4%3F%23")["tombstone"].startswith("erased-")
