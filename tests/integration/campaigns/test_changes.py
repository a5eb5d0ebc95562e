"""What comes between: a campaign is changed, and its people are erased, while others are at it; on both databases."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from api.campaigns import queries
from common.campaigns.recipients import lists
from common.db.engine import Database
from common.states.campaigns import CampaignStatus
from common.tables import Campaign
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import CSV, make_campaign, put


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def test_a_change_cannot_set_the_budget_below_the_amount_spent_and_held(api: Api) -> None:
    made = make_campaign(api)
    path = f"/v1/campaigns/{made['id']}"
    with api.database.transaction() as session:
        session.execute(update(Campaign).values(spent=Decimal(2), held=Decimal(1)))
    refused = api.call("PATCH", path, json={"name": "Cheap", "budget": {"amount": "2.5"}})
    assert (refused.status_code, refused.json["code"]) == (409, "budget_too_low")
    kept = api.get(path).json
    assert (kept["name"], kept["budget"]["amount"]) == ("cards", "10")
    assert api.call("PATCH", path, json={"budget": {"amount": "3"}}).json["budget"]["amount"] == "3"


def test_a_change_of_another_field_keeps_a_budget_set_meanwhile(api: Api) -> None:
    path = f"/v1/campaigns/{make_campaign(api)['id']}"
    assert api.post(f"{path}/budget", json={"amount": "30"}).status_code == 200
    assert api.call("PATCH", path, json={"name": "Names"}).json["budget"]["amount"] == "30"


@pytest.mark.parametrize("act", ["approve", "upload"])
def test_a_change_leaves_alone_what_began_while_it_was_checked(
    api: Api, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    made = make_campaign(api)
    path = f"/v1/campaigns/{made['id']}"
    digest = put(api, made, CSV).json["spec_digest"]
    changing, times = queries.lock_campaign, [0]

    def come_between(status: CampaignStatus) -> None:
        with api.database.transaction() as session:
            row = session.get_one(Campaign, UUID(made["id"]), with_for_update=True)
            if act == "upload":
                lists.open_list(session, row, replaces=True)
            else:
                row.status = status

    def count(asked: object) -> object:
        times[0] += 1
        if times[0] == 1:
            come_between(CampaignStatus.APPROVED)
        return changing(asked)

    monkeypatch.setattr(queries, "lock_campaign", count)
    refused = api.call("PATCH", path, json={"defaults": {"steps": 3}})
    assert (refused.status_code, refused.json["code"]) == (409, "invalid_state")
    monkeypatch.undo()
    kept = api.get(path).json
    assert kept["spec_digest"] == digest
    assert kept["arms"] == made["arms"]


def test_a_change_that_checks_no_rows_is_made_in_a_single_transaction(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_campaign(api)
    put(api, made, CSV)
    changing, times = queries.lock_campaign, [0]

    def count(asked: object) -> object:
        times[0] += 1
        return changing(asked)

    monkeypatch.setattr(queries, "lock_campaign", count)
    assert api.call("PATCH", f"/v1/campaigns/{made['id']}", json={"defaults": {"steps": 3}}).status_code == 200
    assert times == [1], "nothing can come between"


def test_no_recipient_is_erased_during_an_import_that_could_restore_them(api: Api) -> None:
    made = make_campaign(api)
    path = f"/v1/campaigns/{made['id']}"
    put(api, made, CSV)
    with api.database.transaction() as session:
        row = session.get_one(Campaign, UUID(made["id"]), with_for_update=True)
        loading = lists.open_list(session, row, replaces=True)
    refused = api.call("DELETE", f"{path}/recipients/1")
    assert (refused.status_code, refused.json["code"]) == (409, "invalid_state")
    with api.database.transaction() as session:
        row = session.get_one(Campaign, UUID(made["id"]), with_for_update=True)
        lists.abandon_list(session, row, loading.number)
    assert api.call("DELETE", f"{path}/recipients/1").status_code == 200
    changed = api.call("PATCH", path, json={"template": {"prompt": "a cake for {{ name }}"}}).json
    assert changed["recipients"]["accepted"] == 1
