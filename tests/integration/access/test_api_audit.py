"""The audit trail: what is recorded, who may read it, and that nothing changes it but an erasure; on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DatabaseError

from common.access import audit, keys
from common.access.audit import AuditFilter, AuditObject, Keyless
from common.access.keys import Scope
from common.clerk import campaigns as duties, retention
from common.cli import pressroom
from common.db.engine import Database
from common.db.ids import compute_first_id
from common.safety.policy import PolicyOverrides
from common.states.audit import Act, ObjectKind
from common.states.campaigns import CampaignStatus
from common.tables import AuditEvent
from tests.support import factories
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, names
from tests.support.campaigns.recipient_files import CSV, make_campaign, put

ADA = Keyless("ada")
WEBHOOK = "https://hooks.example/secret-path"


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    opened = open_api(database, tmp_path)
    opened.key = opened.make_key("ada", tuple(Scope))
    return opened


@pytest.fixture
def campaign_fixture(api: Api) -> CampaignFixture:
    return CampaignFixture(api.database, api.services.settings)


def read(api: Api, query: str = "", key: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/v1/audit{query}", key=key)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["data"]
    return found


def acts_on(api: Api, object_id: object) -> list[str]:
    return [event["act"] for event in reversed(read(api, f"?object={object_id}"))]


def enter(database: Database, object_id: str = "one", *, moment: datetime | None = None, **fields: Any) -> None:
    """Record an event, at *moment* if it is given."""
    with database.transaction() as session:
        changed = AuditObject(ObjectKind.IMAGE, object_id)
        audit.record_event(session, fields.pop("caller", ADA), Act.IMAGE_RELEASED, changed, **fields)
    if moment is not None:
        with database.transaction() as session:
            factories.lift_guards(session)
            if database.is_sqlite:
                session.execute(text("DROP TRIGGER guard_audit_events_update"))
            session.execute(
                update(AuditEvent)
                .where(AuditEvent.object_id == object_id)
                .values(at=moment, id=UUID(int=compute_first_id(moment).int + 1))
            )


def test_what_is_done_to_a_campaign_is_recorded_with_key_and_budget(api: Api) -> None:
    made = make_campaign(api)
    path = f"/v1/campaigns/{made['id']}"
    digest = put(api, made, CSV).json["spec_digest"]
    api.post(f"{path}/approve", json={"spec_digest": digest})
    for verb in ("start", "pause"):
        assert api.post(f"{path}/{verb}").status_code == 200
    assert api.post(f"{path}/budget", json={"amount": "20"}).status_code == 200
    assert api.post(f"{path}/links").status_code == 200
    assert api.call("DELETE", f"{path}/links").status_code == 200
    assert acts_on(api, made["id"]) == [
        "campaign.approved",
        "campaign.started",
        "campaign.paused",
        "campaign.budget_changed",
        "campaign.links_created",
        "campaign.links_revoked",
    ]
    (changed,) = read(api, "?act=campaign.budget_changed")
    assert (changed["before"]["budget"], changed["after"]["budget"]) == ("10", "20")
    assert (changed["object_kind"], changed["owner"]) == ("campaign", "ada")
    assert changed["key_id"] == api.key.split("_")[1]
    (approved,) = read(api, "?act=campaign.approved")
    assert (approved["after"]["digest"], approved["after"]["budget"]) == (digest, "10")


def test_an_act_that_is_refused_is_not_recorded(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(1))
    assert api.post(f"/v1/campaigns/{campaign_id}/pause").status_code == 409
    assert acts_on(api, campaign_id) == []


def test_a_campaign_that_the_clerk_starts_is_recorded_without_a_key(
    api: Api, campaign_fixture: CampaignFixture
) -> None:
    campaign_id = campaign_fixture.campaign(names(1), reservation=PRICE)
    campaign_fixture.age(campaign_id, "start_at", timedelta(minutes=1))
    assert duties.start_due_campaigns(api.database, api.services.settings) == 1
    (event,) = read(api, f"?object={campaign_id}")
    assert (event["act"], event["key_id"], event["after"]["status"]) == ("campaign.started", None, "running")


def test_keys_are_recorded_with_their_policy_but_without_their_secret(api: Api) -> None:
    with api.database.transaction() as session:
        keys.create_api_key(session, "till", "ada", safety=PolicyOverrides(block_above=0.5))
    made = api.post("/v1/keys", json={"name": "shop", "scopes": ["jobs:read"]}).json
    assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert acts_on(api, made["id"]) == ["key.created", "key.revoked"]
    by_operator = next(event for event in read(api) if event["after"] and event["after"].get("name") == "till")
    assert (by_operator["key_id"], by_operator["after"]["safety"]) == (None, {"block_above": 0.5})
    (created,) = (event for event in read(api, f"?object={made['id']}") if event["act"] == "key.created")
    assert created["key_name"] == "ada"
    assert made["key"].split("_", 2)[2] not in str(read(api))


def test_webhooks_are_recorded_without_their_secrets_and_paths(api: Api) -> None:
    made = api.post("/v1/webhooks", json={"url": WEBHOOK}).json
    path = f"/v1/webhooks/{made['id']}"
    assert api.call("PATCH", path, json={"events": ["job.failed"]}).status_code == 200
    rotated = api.post(f"{path}/rotate", json={}).json
    for verb in ("disable", "enable"):
        assert api.post(f"{path}/{verb}").status_code == 200
    assert api.call("DELETE", path).status_code == 204
    assert acts_on(api, made["id"]) == [
        f"webhook.{deed}" for deed in ("created", "updated", "secret_rotated", "disabled", "enabled", "deleted")
    ]
    shown = str(read(api))
    assert "hooks.example" in shown
    assert not any(secret in shown for secret in ("secret-path", made["secret"], rotated["secret"]))


def test_an_erasure_is_recorded_and_blanks_what_named_the_erased(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    assert api.post(f"/v1/campaigns/{campaign_id}/start").status_code == 200
    campaign_fixture.print_all()
    made = campaign_fixture.prints(campaign_id)[0]
    for object_id in (made.id, made.image_id, made.job_id, made.recipient_pk):
        enter(api.database, str(object_id), before={"caption": "for Ada"}, after={"caption": "for Ada L."})
    enter(api.database, "another", after={"caption": "for Bob"})
    page = api.get(f"/v1/campaigns/{campaign_id}/recipients").json["data"]
    recipient_id = next(each["recipient_id"] for each in page if each["id"] == str(made.recipient_pk))
    erased = api.call("DELETE", f"/v1/campaigns/{campaign_id}/recipients/{recipient_id}")
    assert erased.status_code == 200, erased.text
    shown = read(api, "?limit=100")
    assert "Ada" not in str([event["before"] or event["after"] for event in shown if event["act"] == "image.released"])
    assert "for Bob" in str(shown)
    (event,) = read(api, "?act=recipient.erased")
    assert event["object_id"] == erased.json["tombstone"]
    assert event["after"]["campaign_id"] == str(campaign_id)


def test_the_erasure_of_an_image_is_recorded_once(api: Api) -> None:
    _, (image,) = api.print_job()
    for _ in range(2):
        assert api.call("DELETE", f"/v1/images/{image.id}").status_code == 204
    assert acts_on(api, image.id) == ["image.erased"]


@pytest.mark.parametrize(
    "change",
    [
        lambda: update(AuditEvent).values(act="key.created"),
        lambda: update(AuditEvent).values(key_id=UUID(int=1)),
        lambda: update(AuditEvent).values(at=datetime(2020, 1, 1, tzinfo=UTC)),
        lambda: update(AuditEvent).values(after={"state": "changed"}),
        lambda: update(AuditEvent).values(before={"state": "invented"}),
        lambda: delete(AuditEvent),
    ],
)
def test_the_database_refuses_to_change_an_event(api: Api, change: Callable[[], Any]) -> None:
    enter(api.database, after={"state": "released"})
    with pytest.raises(DatabaseError), api.database.transaction() as session:
        session.execute(change())
    assert read(api, "?object=one")[0]["after"] == {"state": "released"}


def test_events_are_kept_for_as_long_as_the_setting_says(api: Api) -> None:
    now = datetime.now(UTC)
    enter(api.database, "young", moment=now - timedelta(days=729))
    with api.database.transaction() as session:
        audit.record_event(session, ADA, Act.IMAGE_RELEASED, AuditObject(ObjectKind.IMAGE, "now"))
    assert retention.delete_audit_events(api.database, 730) == 0
    assert retention.delete_audit_events(api.database, 728) == 1
    assert [event["object_id"] for event in read(api, "?act=image.released")] == ["now"]


def test_the_list_is_paged_and_filtered(api: Api) -> None:
    for place in range(5):
        enter(api.database, f"image-{place}")
    first = api.get("/v1/audit?limit=2&act=image.released").json
    second = api.get(f"/v1/audit?limit=2&act=image.released&cursor={first['next']}").json
    assert [event["object_id"] for event in first["data"] + second["data"]] == [f"image-{n}" for n in (4, 3, 2, 1)]
    assert (first["has_more"], second["has_more"]) == (True, True)
    assert read(api, "?to=2020-01-01T00:00:00Z") == []
    assert len(read(api, "?from=2020-01-01T00:00:00Z&act=image.released")) == 5
    assert read(api, "?key=AAAAAAAA") == []
    assert api.get("/v1/audit?cursor=abc").json["code"] == "invalid_cursor"
    assert api.get("/v1/audit?act=smile").status_code == 422


def test_only_the_own_events_are_listed_except_for_the_operator(api: Api) -> None:
    enter(api.database, "of-bob", caller=Keyless("bob"))
    assert read(api, "?object=of-bob") == []
    assert [event["owner"] for event in read(api, "/operator?object=of-bob")] == ["bob"]
    reader = api.make_key("ada", (Scope.AUDIT_READ,))
    assert api.get("/v1/audit", key=reader).status_code == 200
    assert api.get("/v1/audit/operator", key=reader).status_code == 403
    assert api.get("/v1/audit", key=api.make_key("ada")).status_code == 403


@pytest.mark.parametrize("narrowed", [{}, {"object_id": "one"}, {"key": "x"}, {"act": "key.created"}])
def test_a_page_is_read_from_an_index(database: Database, narrowed: dict[str, str]) -> None:
    wanted = AuditFilter("ada", **narrowed)
    with database.transaction() as session:
        for number in range(500):  # of others too, as there are in a trail that has grown
            other = AuditObject(ObjectKind.IMAGE, f"other {number}")
            audit.record_event(session, Keyless(f"owner {number % 50}"), Act.IMAGE_ERASED, other)
    with database.transaction() as session:
        if not database.is_sqlite:
            session.execute(text("ANALYZE audit_events"))  # as autovacuum does; nothing analyzes SQLite's
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_sort = off"))
        read, _ = audit.divide_filter(wanted)
        statement = select(AuditEvent).where(*read).order_by(AuditEvent.id.desc()).limit(20)
        sql = str(statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plans = [str(row) for row in session.execute(text(explain + sql.replace(":", r"\:")))]
    assert "ix_audit_events_" in str(plans)
    assert "TEMP B-TREE" not in str(plans)
    assert "Sort" not in str(plans)


def test_the_command_line_lists_events(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(self: object, path: str, query: Any, limit: int) -> Any:
        asked.append((path, query["act"], limit))
        return iter([{"at": "2026-05-01T00:00:00Z", "owner": "ada", "key_id": None, "act": "key.created",
                      "object_id": "abc", "before": None, "after": {"name": "shop"}}])  # fmt: skip

    monkeypatch.setenv("PRESSROOM_API_KEY", "prk_x")
    monkeypatch.setattr("common.cli.client.Client._pages", answer)
    shown = CliRunner().invoke(pressroom, ["audit", "--act", "key.created", "--all"])
    assert shown.exit_code == 0, shown.output
    assert "name=shop" in shown.output
    assert asked == [("/v1/audit/operator", "key.created", 20)]


def test_a_deleted_campaign_is_recorded(api: Api, campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(1), status=CampaignStatus.READY)
    assert api.call("DELETE", f"/v1/campaigns/{campaign_id}").status_code == 204
    assert acts_on(api, campaign_id) == ["campaign.deleted"]


def test_every_event_is_written_by_the_audit_module() -> None:
    users = [
        path.as_posix()
        for top in ("api", "common", "worker")
        for path in Path(top).rglob("*.py")
        if "AuditEvent(" in (source := path.read_text()) and "class AuditEvent" not in source
    ]
    assert users == ["common/access/audit.py"]


def test_an_event_is_kept_if_and_only_if_its_act_is(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            keys.create_api_key(session, "lost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as session:
        assert session.scalars(select(AuditEvent)).all() == []
