"""PgBouncer between all processes and PostgreSQL: each transaction may get another session."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from common.db import schema
from common.db.engine import Database
from common.states.jobs import JobStatus
from tests.functional.backends import Services
from tests.functional.stack import QUICK, Stack, running
from tests.support.servers import processes, services
from tests.support.servers.services import Bucket

SESSIONS = 3
"""Fewer than the threads of any process, so that sessions are shared."""


@pytest.fixture
def pgbouncer(postgresql_server: str) -> Iterator[str]:
    """PgBouncer in transaction mode before a migrated database; yield the URL that leads through it."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("PgBouncer is missing: install Debian's pgbouncer.")
    direct = sqlalchemy.make_url(services.create_database(postgresql_server, "pooled"))
    migrated = Database(direct.render_as_string(hide_password=False))
    schema.upgrade_schema(migrated)
    migrated.close()
    (port,) = processes.free_ports(1)
    user = services.find_unprivileged_user() if Path("/proc/self").stat().st_uid == 0 else None
    with processes.own_folder(user) as folder:
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\npooled = host={direct.query['host']} user={direct.username} password={direct.password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 500\n"
        )
        url = f"postgresql+psycopg://{direct.username}@127.0.0.1:{port}/pooled"
        command = [program, folder / "pgbouncer.ini"]
        with processes.running(command, folder, lambda: _answers(port, str(direct.username)), user=user):
            yield url


def _answers(port: int, user: str) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=port, user=user, dbname="pooled").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def stack(pgbouncer: str, postgresql_server: str, s3: Bucket) -> Iterator[Stack]:
    """A stack whose every process reaches its database through PgBouncer."""
    backend = Services(postgresql_server, s3, "pooled_unused")
    pooled = {"PRESSROOM_DATABASE_URL": pgbouncer, "PRESSROOM_DATABASE_POOLER": "transaction"}
    backend.environ |= pooled | {"PRESSROOM_STORAGE_URL": f"s3://{s3.name}/pooled"}
    direct = sqlalchemy.make_url(postgresql_server).set(database="pooled").render_as_string(hide_password=False)
    with running(backend, settings=QUICK) as started:
        started.database.close()
        started.database = Database(direct)
        yield started
        started.check()


def test_f66_a_stack_behind_pgbouncer_in_transaction_mode_prints_every_job_once(stack: Stack) -> None:
    client = stack.client()
    ordered = [client.order(num_images=2) for _ in range(30)]
    canceled = client.order(steps=100)
    client.post(f"/v1/jobs/{canceled}/cancel", status=200)
    assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}
    assert stack.settle([canceled])[0].status is JobStatus.CANCELED
