"""An order: what becomes a job."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from common.ids import create_id
from common.jobs.request import ImageRequest
from common.tables.states import Priority
from common.tables.webhook_states import EventType


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
