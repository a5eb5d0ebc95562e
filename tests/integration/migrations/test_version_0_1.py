"""A database of version 0.1, its rows written by that version, is used after ``migrate``; on both databases."""

import json
from pathlib import Path
from uuid import UUID

import pytest
from alembic import command
from sqlalchemy import select

from common.campaigns.digest import compute_campaign_digest
from common.db import schema
from common.db.engine import Database
from common.db.types import Base
from common.settings import Settings
from common.states.webhooks import EventType, MessageState
from common.tables import ApiKey, Campaign, RecipientList, WebhookEndpoint, WebhookMessage
from common.webhooks.signing_secrets import SecretCipher
from tests.integration.migrations.version_0_1 import LAST_REVISION, insert_rows, list_inserts, run_alembic
from tests.support.apis import Api, open_api

SECRET_KEY = "the signing secret of version 0.1"

OPERATOR_KEY = "prk_HUbW0u9X_5w7CnQlvjh-0whuCO9pL1jNqEwnqAlAsP556NdrcImY"
SHOP_KEY = "prk_sNKgXiQG_t9l3seLr0X0H7FbsRjPshfRLexKvM5tGg2UIU6cdZCg"
PRINTED_JOB = "01a226d7-ba04-7116-b741-94493e0010d1"
COMPLETED_CAMPAIGN = "01a226d7-bac7-7777-95b0-65dcb65a4e4c"
APPROVED_CAMPAIGN = "01a226d7-c9c1-72bc-83ae-b6c9c9aea43b"


@pytest.fixture
def migrated(bare: Database) -> Database:
    """The database of version 0.1, migrated."""
    run_alembic(bare, command.upgrade, LAST_REVISION)
    insert_rows(bare)
    schema.upgrade_schema(bare)
    return bare


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of the version 0.1 that wrote the rows."""
    return Settings(home=tmp_path, secret_key=SECRET_KEY, models=("painted",))


@pytest.fixture
def api(migrated: Database, tmp_path: Path) -> Api:
    """An api on the migrated database, called with the key of the shop."""
    opened = open_api(migrated, tmp_path, secret_key=SECRET_KEY, models=("painted",))
    opened.key = SHOP_KEY
    return opened


def test_every_row_of_version_0_1_is_read(migrated: Database) -> None:
    inserted = [line.split()[2] for line in list_inserts()]
    with migrated.reading() as session:
        for mapper in Base.registry.mappers:
            rows = session.scalars(select(mapper.class_)).all()
            assert len(rows) == inserted.count(mapper.local_table.name), mapper.local_table.name
    schema.check_schema_not_older(migrated)


def test_a_key_that_had_usage_house_has_usage_all(migrated: Database, api: Api) -> None:
    assert _load_scopes(migrated, "operator") == ["usage:read", "usage:all", "keys:admin"]
    span = {"from": "2026-11-29T00:00:00Z", "to": "2026-11-30T00:00:00Z"}
    report = api.get("/v1/usage/operator", key=OPERATOR_KEY, query_string=span)
    assert (report.status_code, report.json["total"]["images"]) == (200, 4)
    assert [press["host"] for press in report.json["data"]] == ["press-one"]


def test_a_key_that_had_not_usage_house_has_the_scopes_that_it_had(migrated: Database, api: Api) -> None:
    assert "usage:all" not in _load_scopes(migrated, "ada")
    assert api.get("/v1/usage/operator").status_code == 403


def test_jobs_images_and_styles_are_shown(api: Api) -> None:
    assert [job["status"] for job in api.get("/v1/jobs").json["data"]] == ["queued"] + 3 * ["succeeded"]
    job = api.get(f"/v1/jobs/{PRINTED_JOB}").json
    assert [image["status"] for image in job["images"]] == 2 * ["delivered"]
    assert [attempt["outcome"] for attempt in api.get(f"/v1/jobs/{PRINTED_JOB}/attempts").json["data"]] == ["succeeded"]
    assert len(api.get("/v1/images").json["data"]) == 4
    assert [style["name"] for style in api.get("/v1/styles").json["data"]] == ["plain"]


def test_a_campaign_is_shown_with_its_recipients_and_results(api: Api) -> None:
    campaign = api.get(f"/v1/campaigns/{COMPLETED_CAMPAIGN}").json
    assert (campaign["status"], campaign["palette_floor"]) == ("completed", 0.0)
    assert campaign["progress"]["prints"]["printed"] == 2
    results = api.get(f"/v1/campaigns/{COMPLETED_CAMPAIGN}/results.jsonl").text.splitlines()
    assert [json.loads(line)["recipient_id"] for line in results] == ["1", "2"]


def test_an_approval_holds_for_what_it_named(migrated: Database, settings: Settings) -> None:
    with migrated.reading() as session:
        campaign = session.get_one(Campaign, UUID(APPROVED_CAMPAIGN))
        approved = session.scalars(select(RecipientList).where(RecipientList.campaign_id == campaign.id)).one()
        assert compute_campaign_digest(session, campaign, settings, approved=True) == approved.approved_digest


def test_a_webhook_and_the_messages_that_wait_for_it_are_kept(migrated: Database, settings: Settings) -> None:
    with migrated.reading() as session:
        endpoint = session.scalars(select(WebhookEndpoint)).one()
        assert {EventType(event) for event in endpoint.events} >= {
            EventType.JOB_SUCCEEDED,
            EventType.CAMPAIGN_COMPLETED,
        }
        assert SecretCipher(settings.read_secret()).open(endpoint.secret)
        messages = session.scalars(select(WebhookMessage).order_by(WebhookMessage.id)).all()
    assert [message.state for message in messages] == 2 * [MessageState.PENDING]
    assert [json.loads(message.body)["type"] for message in messages] == [message.event for message in messages]


def test_a_downgrade_gives_keys_the_scope_that_version_0_1_knows(migrated: Database) -> None:
    run_alembic(migrated, command.downgrade, LAST_REVISION)
    assert _load_scopes(migrated, "operator") == ["usage:read", "usage:house", "keys:admin"]


def _load_scopes(database: Database, name: str) -> list[str]:
    with database.reading() as session:
        return session.scalars(select(ApiKey.scopes).where(ApiKey.name == name)).first() or []
