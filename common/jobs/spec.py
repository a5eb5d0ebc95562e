"""The resolved request for a job: everything that its row is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.db.ids import create_id
from common.jobs.request import ImageRequest
from common.states.jobs import Priority
from common.states.webhooks import EventType


@dataclass(frozen=True)
class JobSpec:
    """A job to be queued: who asks for what, how urgently, for which campaign, and what to remember with it."""

    owner: str
    request: ImageRequest
    key_id: UUID | None = None
    priority: Priority = Priority.INTERACTIVE
    deadline_seconds: float | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    retry_of: UUID | None = None
    campaign_id: UUID | None = None
    recipient_id: str | None = None
    style_version: str | None = None
    palette: Sequence[str] | None = None
    max_amount: Decimal | None = None
    webhook_url: str | None = None
    webhook_events: Sequence[EventType] | None = None
    id: UUID = field(default_factory=create_id)

    @property
    def flow(self) -> str:
        """Return with whom the job shares fairly: its owner's other jobs, or those of its campaign."""
        return self.owner if self.campaign_id is None else f"{self.owner}/{self.campaign_id}"

    def to_row(self, fair_tag: int, queued_at: datetime) -> dict[str, Any]:
        """Return the values of a job's row by their attributes; its state is for ``common.jobs.lifecycle`` to add."""
        request, lifetime = self.request, self.deadline_seconds
        return {
            "id": self.id,
            "owner": self.owner,
            "key_id": self.key_id,
            "request": request.model_dump(mode="json"),
            "annotations": self.annotations,
            "model": request.model,
            "lane": request.lane,
            "priority": self.priority,
            "flow": self.flow,
            "fair_tag": fair_tag,
            "num_images": request.num_images,
            "steps": request.steps,
            "retry_of": self.retry_of,
            "campaign_id": self.campaign_id,
            "recipient_id": self.recipient_id,
            "style_version": self.style_version,
            "palette": None if self.palette is None else [*self.palette],
            "max_amount": self.max_amount,
            "webhook_url": self.webhook_url,
            "webhook_events": None if self.webhook_events is None else [*map(str, self.webhook_events)],
            "created_at": queued_at,
            "due_at": queued_at,
            "deadline_at": queued_at + timedelta(seconds=lifetime) if lifetime else None,
        }


def rename_to_columns(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values* by the names of columns, of which one cannot be an attribute's."""
    return {"metadata" if name == "annotations" else name: value for name, value in values.items()}
