"""A long history costs no more than a short one: a page of a list reads a few rows, and offers the rest."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from common.access.keys import Scope
from common.clock import utcnow
from common.db import pages
from common.db.engine import Database
from common.db.ids import compute_first_id
from common.jobs import lifecycle, overview
from common.states.audit import Act, ObjectKind
from common.states.jobs import ImageStatus, JobStatus, Verdict
from common.tables import AuditEvent, Image, Job
from tests.support import factories, plans
from tests.support.apis import Api, open_api

FINISHED = 600
QUEUED = 50
READ_THROUGH = 20
A_FEW = 150
RARE = "rare-model"
TABLES = ("jobs", "images", "audit_events")


@pytest.fixture
def api(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    """An api on a database with a history, in which a page reads and an overview counts only a few rows."""
    monkeypatch.setattr(pages, "READ_THROUGH", READ_THROUGH)
    monkeypatch.setattr(overview, "MOST_COUNTED", READ_THROUGH)
    models = (RARE if number % 200 == 0 else "painted" for number in range(FINISHED))
    specs = [factories.job_spec("ada", request={"model": model}) for model in models]
    with database.transaction() as session:
        factories.lift_guards(session)
        lifecycle.submit_jobs(session, specs, FINISHED)
        session.execute(update(Job).values(status=JobStatus.SUCCEEDED, finished_at=utcnow()))
        session.execute(insert(Image), [_describe_image(spec.id, number) for number, spec in enumerate(specs)])
        lifecycle.submit_jobs(session, [factories.job_spec("ada") for _ in range(QUEUED)], QUEUED)
        event = {"owner": "ada", "act": Act.IMAGE_ERASED, "object_kind": ObjectKind.IMAGE, "object_id": "image"}
        session.execute(insert(AuditEvent), [event] * FINISHED)
    plans.analyze(database)
    return open_api(database, tmp_path)


def _describe_image(job_id: UUID, number: int) -> dict[str, Any]:
    return {
        "id": UUID(int=compute_first_id(utcnow() - timedelta(days=2)).int + number),
        "job_id": job_id,
        "owner": "ada",
        "attempt": 1,
        "position": 0,
        "status": ImageStatus.DELIVERED,
        "seed": 7,
        "width": 64,
        "height": 64,
        "storage_key": "x/0.png",
        "verdict": Verdict.PASS,
        "safety": {},
        "gpu_seconds": 1.0,
        "amount": Decimal(0),
        "currency": "USD",
    }


@pytest.mark.parametrize(
    "path",
    [
        "jobs?limit=5",
        "jobs?limit=5&status=failed",
        "jobs?limit=5&status=succeeded",
        "jobs?limit=5&model=none",
        "jobs?limit=5&status=queued&model=none",
        "images?limit=5",
        "images?limit=5&status=erased",
        "images?limit=5&verdict=review&model=painted",
        "images?limit=5&style=none",
        "audit/operator?limit=5",
        "audit/operator?limit=5&act=key.revoked",
        "overview",
    ],
)
def test_a_page_reads_a_few_rows_of_a_long_history(api: Api, path: str) -> None:
    key = api.make_key("ada", tuple(Scope))
    with plans.recording(api.database) as statements:
        assert api.get(f"/v1/{path}", key=key).status_code == 200
    for table in TABLES:
        if api.database.is_sqlite:
            scans = plans.list_scans(api.database, statements, table)
            assert [line for line in scans if "INDEX" not in line] == [], "a page ends the scan of an index"
        else:
            assert plans.count_rows_read(api.database, statements, table, as_if_large=True) <= A_FEW


@pytest.mark.parametrize("kind", ["jobs", "images"])
def test_what_is_rare_is_found_by_reading_on(api: Api, kind: str) -> None:
    path, found, read = f"/v1/{kind}?limit=2&model={RARE}", 0, 0
    page = api.get(path).json
    while page["has_more"]:
        page = api.get(f"{path}&cursor={page['next']}").json
        found, read = found + len(page["data"]), read + 1
    assert found == 3
    assert read >= FINISHED // READ_THROUGH
