"""The services that the tests themselves stand on."""

import redis
import sqlalchemy

from common.db.engine import Database
from tests.support.servers.services import Bucket


def test_both_databases_hold_the_newest_schema(database: Database) -> None:
    with database.reading() as session:
        assert session.scalar(sqlalchemy.text("SELECT version_num FROM alembic_version")) is not None


def test_the_broker_answers_with_its_password(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()


def _round_trip(bucket: Bucket) -> bytes:
    client = bucket.connect()
    client.put_object(Bucket=bucket.name, Key="a/b", Body=b"bytes")
    found = client.get_object(Bucket=bucket.name, Key="a/b")["Body"].read()
    client.close()
    return found


def test_s3_stores_and_returns(s3: Bucket) -> None:
    assert _round_trip(s3) == b"bytes"


def test_s3_over_tls_stores_and_returns(s3_tls: Bucket) -> None:
    assert _round_trip(s3_tls) == b"bytes"
