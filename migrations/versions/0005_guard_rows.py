"""Have PostgreSQL refuse what the code must never do, whoever does it.

SQLite has no such guards: there is one machine then, and nobody else writes.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GUARDS = {
    "jobs": """
        IF OLD.status <> NEW.status AND (OLD.status || ' ' || NEW.status) NOT IN (
            'queued running', 'queued canceled', 'queued expired',
            'running queued', 'running succeeded', 'running failed', 'running canceled', 'running expired'
        ) THEN
            RAISE EXCEPTION 'job % may not go from % to %', OLD.id, OLD.status, NEW.status;
        END IF;
        IF NEW.attempt < OLD.attempt THEN
            RAISE EXCEPTION 'the attempts of job % may only grow', OLD.id;
        END IF;
        IF OLD.finished_at IS NOT NULL AND (
            NEW.attempt, NEW.finished_at, NEW.error_code
        ) IS DISTINCT FROM (OLD.attempt, OLD.finished_at, OLD.error_code) THEN
            RAISE EXCEPTION 'job % has ended, and its end is final', OLD.id;
        END IF;
    """,
    "attempts": """
        IF NEW.gpu_seconds < OLD.gpu_seconds THEN
            RAISE EXCEPTION 'what attempt % of job % has spent may only grow', OLD.number, OLD.job_id;
        END IF;
        IF OLD.outcome <> NEW.outcome AND OLD.outcome <> 'running'
            AND (OLD.outcome, NEW.outcome) <> ('lost', 'fenced') THEN
            RAISE EXCEPTION 'attempt % of job % ended as %', OLD.number, OLD.job_id, OLD.outcome;
        END IF;
    """,
    "images": """
        IF (NEW.job_id, NEW.owner, NEW.attempt, NEW.position, NEW.seed, NEW.gpu_seconds, NEW.amount, NEW.currency)
            IS DISTINCT FROM
            (OLD.job_id, OLD.owner, OLD.attempt, OLD.position, OLD.seed, OLD.gpu_seconds, OLD.amount, OLD.currency)
        THEN
            RAISE EXCEPTION 'image % may change its state and its object, nothing else', OLD.id;
        END IF;
    """,
}

PUBLISHED = """
    IF NOT EXISTS (
        SELECT 1 FROM jobs
        WHERE id = NEW.job_id AND attempt = NEW.attempt AND owner = NEW.owner AND status IN ('succeeded', 'failed')
    ) THEN
        RAISE EXCEPTION 'image % is of an attempt that is not the result of job %', NEW.id, NEW.job_id;
    END IF;
"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, body in GUARDS.items():
        _guard(table, "update", body)
    _guard("images", "insert", PUBLISHED)


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, event in (("images", "insert"), *((table, "update") for table in GUARDS)):
        op.execute(f"DROP TRIGGER guard_{event} ON {table}")
        op.execute(f"DROP FUNCTION guard_{table}_{event}()")


def _guard(table: str, event: str, body: str) -> None:
    op.execute(
        f"CREATE FUNCTION guard_{table}_{event}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER guard_{event} BEFORE {event.upper()} ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION guard_{table}_{event}()"
    )
