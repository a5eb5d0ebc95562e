"""Creates indexes on tables that are in use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import op
from sqlalchemy import text


def create_index(name: str, table: str, columns: Sequence[str], **options: Any) -> None:
    """Create an index; on PostgreSQL concurrently, so that others go on writing to the table.

    This happens outside of a transaction, and commits what the migration has done before. So give the index a migration
    of its own: if it is interrupted, it is run again, and an index that was left unfinished is replaced.
    """
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, list(columns), **options)
        return
    with op.get_context().autocommit_block(), _patient_locks():
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, list(columns), postgresql_concurrently=True, **options)


def drop_index(name: str, table: str) -> None:
    """Drop an index if it exists; on PostgreSQL concurrently, outside of a transaction as ``create_index``."""
    if op.get_bind().dialect.name != "postgresql":
        op.drop_index(name, table_name=table, if_exists=True)
        return
    with op.get_context().autocommit_block(), _patient_locks():
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)


@contextmanager
def _patient_locks() -> Iterator[None]:
    """Wait for locks without a limit: nobody queues behind a concurrent index, which waits for older transactions."""
    connection = op.get_bind()
    limit = connection.scalar(text("SHOW lock_timeout"))
    connection.execute(text("SET lock_timeout = 0"))
    try:
        yield
    finally:
        connection.execute(text(f"SET lock_timeout = '{limit}'"))
