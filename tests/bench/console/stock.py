"""A house with a past: many jobs with their attempts and prints, entered past the api, for what leafs through them."""

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, text

from common.clock import utcnow
from common.db.engine import Database
from common.db.ids import compute_first_id, create_id
from common.states.jobs import ImageStatus, JobStatus, Outcome, Verdict
from common.states.webhooks import JOB_EVENTS, MessageState
from common.tables import Attempt, Image, Job, WebhookEndpoint, WebhookMessage
from tests.support import factories

CHUNK = 2000
DAYS = 60
WORDS = ("lighthouse", "fox", "rocket", "owl", "bicycle", "harbour", "orchard", "mountain", "kettle", "violin")
MODELS = ("painted", "painted", "painted", "rare-model")
ENDS = (JobStatus.SUCCEEDED,) * 46 + (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED, JobStatus.QUEUED)


def fill(database: Database, owner: str, jobs: int, seed: int = 1) -> None:
    """Enter *jobs* jobs of *owner*, as many prints, and messages about a tenth of them, spread over two months."""
    chance = random.Random(seed)
    press = factories.press(database, heartbeat_at=utcnow(), started_at=utcnow() - timedelta(days=DAYS))
    with database.transaction() as session:
        endpoint = WebhookEndpoint(
            owner=owner, url="https://hooks.example/a", events=[*JOB_EVENTS], secret=b"", failures=0
        )
        session.add(endpoint)
        session.flush()
        endpoint_id = endpoint.id
    for start in range(0, jobs, CHUNK):
        rows = [_draw(chance, owner, press, number / jobs) for number in range(start, min(start + CHUNK, jobs))]
        with database.transaction() as session:
            factories.lift_guards(session)
            session.execute(insert(Job), [row[0] for row in rows])
            session.execute(insert(Attempt), [row[1] for row in rows if row[1]])
            session.execute(insert(Image), [row[2] for row in rows if row[2]])
            told = [_tell(row[0], endpoint_id) for row in rows[::10]]
            session.execute(insert(WebhookMessage), told)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _draw(
    chance: random.Random, owner: str, press: Any, age: float
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    moment = utcnow() - timedelta(days=DAYS * (1 - age))
    status, model = chance.choice(ENDS), chance.choice(MODELS)
    request = factories.image_request(prompt=f"a {chance.choice(WORDS)} beside a {chance.choice(WORDS)}", model=model)
    is_queued = status is JobStatus.QUEUED
    job = {
        "id": _id_at(moment),
        "owner": owner,
        "status": status,
        "request": request.model_dump(mode="json"),
        "annotations": {},
        "model": model,
        "lane": request.lane,
        "flow": owner,
        "num_images": 1,
        "steps": 4,
        "attempt": 0 if is_queued else 1,
        "error_code": "worker_lost" if status is JobStatus.FAILED else None,
        "created_at": moment,
        "due_at": moment,
        "started_at": None if is_queued else moment,
        "finished_at": None if is_queued else moment + timedelta(seconds=3),
    }
    if is_queued:
        return job, {}, {}
    outcome = Outcome.SUCCEEDED if status is JobStatus.SUCCEEDED else Outcome(status)
    attempt = {
        "job_id": job["id"],
        "number": 1,
        "press_id": press,
        "outcome": outcome,
        "started_at": moment,
        "ended_at": moment + timedelta(seconds=3),
        "gpu_seconds": 2.5,
        "phases": {"denoise": 2.5},
    }
    if status is not JobStatus.SUCCEEDED:
        return job, attempt, {}
    return job, attempt, _print(chance, job, moment)


def _print(chance: random.Random, job: dict[str, Any], moment: Any) -> dict[str, Any]:
    verdict = Verdict.REVIEW if chance.random() < 0.02 else Verdict.PASS
    return {
        "id": _id_at(moment),
        "job_id": job["id"],
        "owner": job["owner"],
        "attempt": 1,
        "position": 0,
        "status": ImageStatus.DELIVERED,
        "seed": chance.randrange(2**40),
        "width": 64,
        "height": 64,
        "content_type": "image/png",
        "bytes": 9000,
        "sha256": "0" * 64,
        "storage_key": f"x/{job['id']}.png",
        "thumbnail_key": f"x/{job['id']}.webp",
        "verdict": verdict,
        "safety": {"scores": {"nsfw": 0.01}},
        "gpu_seconds": 2.5,
        "amount": Decimal("0.000416667"),
        "currency": "USD",
        "created_at": moment,
    }


def _tell(job: dict[str, Any], endpoint_id: Any) -> dict[str, Any]:
    return {
        "id": create_id(),
        "endpoint_id": endpoint_id,
        "owner": job["owner"],
        "destination": "hooks.example",
        "job_id": job["id"],
        "event": "job.succeeded",
        "body": b"{}",
        "state": MessageState.DELIVERED,
        "next_at": job["created_at"],
        "tries": 0,
        "created_at": job["created_at"],
    }


def _id_at(moment: Any) -> Any:
    """Return a fresh id that is as old as *moment*."""
    fresh, stamp = create_id(), compute_first_id(moment)
    return type(fresh)(int=stamp.int | (fresh.int & ((1 << 80) - 1)))
