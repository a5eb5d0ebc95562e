"""A trigger in the database that records each change of a job's status, whichever process makes it."""

from typing import Any

from sqlalchemy import text

from common.db.engine import Database
from common.states.jobs import TERMINAL

TABLE = """CREATE TABLE soak_moves (
    job_id uuid NOT NULL, source text NOT NULL, target text NOT NULL, attempt integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp())"""
FUNCTION = """CREATE FUNCTION soak_note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO soak_moves (job_id, source, target, attempt)
        VALUES (NEW.id, OLD.status::text, NEW.status::text, NEW.attempt);
    RETURN NULL; END $$"""
TRIGGER = """CREATE TRIGGER soak_notes_moves AFTER UPDATE OF status ON jobs
    FOR EACH ROW EXECUTE FUNCTION soak_note_move()"""


def install(database: Database) -> None:
    """Have every move of a job written down from now on."""
    with database.transaction() as session:
        for statement in (TABLE, FUNCTION, TRIGGER):
            session.execute(text(statement))


def read_moves(database: Database) -> list[dict[str, Any]]:
    """Return every move, in order, with its time in seconds since the epoch as ``moved``."""
    query = """SELECT job_id::text AS job, source, target, attempt, extract(epoch FROM at)::float AS moved
        FROM soak_moves ORDER BY at"""
    with database.reading() as session:
        return [dict(row) for row in session.execute(text(query)).mappings()]


def ended_twice(database: Database) -> list[str]:
    """Return the jobs that have come to more than one end, or have gone on after one."""
    ends = ", ".join(f"'{status}'" for status in TERMINAL)
    query = f"""SELECT job_id FROM soak_moves WHERE target IN ({ends}) GROUP BY job_id HAVING count(*) > 1
        UNION SELECT job_id FROM soak_moves WHERE source IN ({ends})"""
    with database.reading() as session:
        return [str(job_id) for job_id in session.scalars(text(query))]
