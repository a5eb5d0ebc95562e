"""The loop over rows that anyone would write first: it reads a CSV, inserts each row, commits, and calls ``delay()``.

No check, no duplicates found, nothing undone when it breaks off; ``tests.bench.campaigns.campaign`` runs it.

Usage: ``python -m tests.bench.campaigns.plain_rows DATABASE_URL BROKER_URL < FILE``
"""

import csv
import json
import sys
import time

from celery import Celery
from sqlalchemy.orm import Session

from tests.bench.service.plain_api import Base, PlainJob, open_database

PROMPT = "a {animal} in {city} for {first_name}"


def main(database_url: str, broker_url: str) -> None:
    """Take the rows in, and print how many they were and the seconds that it took."""
    engine = open_database(database_url)
    Base.metadata.create_all(engine)
    celery = Celery("plain", broker=broker_url, set_as_current=False)
    celery.conf.update(task_ignore_result=True)

    @celery.task(name="draw")
    def draw(job_id: str) -> None:
        """Be sent; nobody works here."""

    draw.delay("warm up")
    began, count = time.perf_counter(), 0
    for row in csv.DictReader(sys.stdin):
        with Session(engine, expire_on_commit=False) as session:
            job = PlainJob(request={"prompt": PROMPT.format(**row), "recipient": row["recipient_id"]})
            session.add(job)
            session.commit()
        draw.delay(job.id)
        count += 1
    print(json.dumps({"rows": count, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:])
