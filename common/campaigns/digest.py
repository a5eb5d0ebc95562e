"""Computes the digest that an approval names: it covers all that determines what a campaign prints, and its budget."""

import hashlib
import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.campaigns import queries
from common.db.types import round_money
from common.safety.policy import Policy
from common.settings import Settings
from common.tables import Campaign, Model


def compute_campaign_digest(session: Session, campaign: Campaign, settings: Settings, *, approved: bool = False) -> str:
    """Return the digest of *campaign* as it stands: spec, salt, recipients, model and adapters, safety policy, budget.

    With *approved*, of those lists only that somebody has approved, and without the budget, which may be changed later.
    """
    models = sorted({arm["request"]["model"] for arm in campaign.spec["arms"]})
    cards = session.execute(select(Model.name, Model.card).where(Model.name.in_(models)).order_by(Model.name))
    budget = {} if approved else {"budget": str(round_money(campaign.budget))}
    return hash_content(
        budget
        | {
            "spec": campaign.spec,
            "salt": campaign.salt.hex(),
            "lists": [
                [each.number, each.digest]
                for each in queries.list_current_lists(session, campaign.id)
                if each.approved_at is not None or not approved
            ],
            "models": [[row.name, row.card] for row in cards],
            "safety": Policy.of(settings).version({"checker": settings.checker}),
        }
    )


def hash_content(content: Any) -> str:
    """Return the SHA-256 of *content* as JSON, the same whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
