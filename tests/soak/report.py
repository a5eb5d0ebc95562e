"""The report of a soak: the guarantees, and what keeping them has cost."""

import json
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from common.db.engine import Database
from common.states.jobs import JobStatus, Outcome
from common.states.webhooks import MessageState
from common.tables import Attempt, Job, WebhookMessage
from tests.soak.history import InjectedFault


@dataclass(frozen=True)
class Guarantees:
    """What must not happen: each a count, and what the invariant checker said."""

    lost: int
    unexpected: int
    two_ends: int
    doubled_by_key: int
    invariants: str

    @property
    def are_kept(self) -> bool:
        """Tell whether all is well."""
        return not any(asdict(self).values())


def describe_costs(database: Database) -> dict[str, Any]:
    """Return how jobs ended, what was tried again and why, and the share of accelerator seconds that was wasted."""
    with database.reading() as session:
        statuses = Counter(str(status) for status in session.scalars(select(Job.status)))
        failures = Counter(code for code in session.scalars(select(Job.error_code)) if code is not None)
        attempts = session.execute(select(Attempt.number, Attempt.outcome, Attempt.gpu_seconds)).all()
    unpublished = Counter(str(outcome) for _, outcome, _ in attempts if outcome is not Outcome.SUCCEEDED)
    spent = sum(seconds for _, _, seconds in attempts)
    wasted = sum(seconds for _, outcome, seconds in attempts if outcome is not Outcome.SUCCEEDED)
    return {
        "jobs": dict(statuses),
        "error_codes": dict(failures),
        "attempts": len(attempts),
        "repeats": sum(number > 1 for number, _, _ in attempts),
        "unpublished_attempts": dict(unpublished),
        "accelerator_seconds": round(spent, 2),
        "wasted_seconds": round(wasted, 2),
        "wasted_share": round(wasted / spent, 4) if spent else 0.0,
    }


def describe_recovery(database: Database, struck: Sequence[InjectedFault]) -> dict[str, Any]:
    """Return the seconds from the start of each fault to the next job that succeeded, and from one to the next."""
    with database.reading() as session:
        ends = sorted(
            moment.timestamp()
            for moment in session.scalars(select(Job.finished_at).where(Job.status == JobStatus.SUCCEEDED))
            if moment is not None
        )
    waits: dict[str, list[float]] = {}
    for fault in struck:
        place = bisect_left(ends, fault.began)
        if place < len(ends):
            waits.setdefault(fault.name, []).append(ends[place] - fault.began)
    everything = [wait for each in waits.values() for wait in each]
    return {
        "faults": len(struck),
        "p50_seconds": _quantile(everything, 50),
        "p95_seconds": _quantile(everything, 95),
        "longest_silence_seconds": round(max((b - a for a, b in pairwise(ends)), default=0.0), 2),
        "worst_seconds_by_fault": {name: round(max(each), 2) for name, each in sorted(waits.items())},
        "times_by_fault": {name: len(each) for name, each in sorted(waits.items())},
    }


def describe_webhooks(database: Database, taken: Mapping[str, int]) -> dict[str, int]:
    """Return how many messages were owed, are delivered, wait for another try, and came again once *taken*."""
    with database.reading() as session:
        states = Counter(session.scalars(select(WebhookMessage.state)))
    return {
        "owed": states.total(),
        "delivered": states[MessageState.DELIVERED],
        "waiting": states[MessageState.PENDING],
        "given_up": states.total() - states[MessageState.DELIVERED] - states[MessageState.PENDING],
        "repeated": sum(taken.values()) - len(taken),
    }


def show(report: dict[str, Any]) -> str:
    """Return the report as text, a fact a line."""
    lines = []
    for part, facts in report.items():
        shown = facts.items() if isinstance(facts, dict) else [("", facts)]
        lines.append(part)
        lines += [f"  {name:<24} {value if isinstance(value, (int, float, str)) else json.dumps(value)}"
                  for name, value in shown]  # fmt: skip
    return "\n".join(lines)


def _quantile(values: Sequence[float], percent: int) -> float | None:
    if len(values) < 2:
        return None
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 2)
