"""The bodies of messages: rendered once, in the transaction that makes them true, and kept as the bytes they are.

Links are left out, because they expire: receivers ask the api for them.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.states.webhooks import EventType


def render_test_event(moment: datetime, endpoint_id: UUID) -> bytes:
    """Return the body of a message that its owner asked for."""
    return render_event(EventType.WEBHOOK_TEST, moment, {"webhook_id": str(endpoint_id)})


def render_event(event: EventType, moment: datetime, data: dict[str, Any]) -> bytes:
    """Return the body of a message that says *data*."""
    envelope = {"type": event, "timestamp": format_time(moment), "data": data}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def format_amount(amount: Decimal) -> str:
    """Return *amount* as it is written in JSON."""
    return f"{amount.normalize():f}"


def format_time(time: datetime | None) -> str | None:
    """Return *time* as it is written in JSON."""
    return None if time is None else time.isoformat().replace("+00:00", "Z")
