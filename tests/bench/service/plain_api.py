"""The endpoint that anyone would write first: a Flask view that inserts a row and calls ``delay()``.

No key, no validation, no idempotency, no limits, no log; gunicorn runs it for ``tests.bench.service.submit``.
"""

import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from celery import Celery
from flask import Flask, Response, jsonify, request
from sqlalchemy import JSON, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

DATABASE, BROKER = "PLAIN_DATABASE_URL", "PLAIN_BROKER_URL"
POSTGRESQL_POOL = {"pool_pre_ping": True, "pool_size": 8, "max_overflow": 24}
"""As ours; on SQLite both have SQLAlchemy's own."""


class Base(DeclarativeBase):
    """The one table."""


class PlainJob(Base):
    """What was asked."""

    __tablename__ = "plain_jobs"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: str(uuid4()))
    status: Mapped[str] = mapped_column(default="queued")
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


def create_app(database_url: str, broker_url: str) -> Flask:
    """Return the app; every commit of its database is on the disk before it is answered."""
    engine = open_database(database_url)
    Base.metadata.create_all(engine)
    celery = Celery("plain", broker=broker_url, set_as_current=False)
    celery.conf.update(task_ignore_result=True)

    @celery.task(name="draw")
    def draw(job_id: str) -> None:
        """Be sent; nobody works here."""

    app = Flask(__name__)

    @app.get("/healthz")
    def tell_health() -> Response:
        return jsonify(status="ok")

    @app.post("/v1/jobs")
    def create_job() -> tuple[Response, int]:
        with Session(engine, expire_on_commit=False) as session:
            job = PlainJob(request=request.get_json())
            session.add(job)
            session.commit()
        draw.delay(job.id)
        return jsonify(id=job.id, status=job.status, created_at=job.created_at.isoformat()), 202

    return app


def open_database(url: str) -> Any:
    """Return the engine; what it commits is on the disk."""
    if not url.startswith("sqlite"):
        return create_engine(url, **POSTGRESQL_POOL)
    engine = create_engine(url, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    return engine


def create_from_environ() -> Flask:
    """Return the app on what the environment names; gunicorn calls this."""
    return create_app(os.environ[DATABASE], os.environ[BROKER])
