"""How often prompts were refused: by day, owner and category, and never what they said."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.clock import utcnow
from common.db.dialects import choose_insert
from common.tables import PromptRefusals


def count_refusal(session: Session, owner: str, category: str) -> None:
    """Count one more refusal of today."""
    row = choose_insert(session)(PromptRefusals).values(
        day=utcnow().date().isoformat(), owner=owner, category=category, count=1
    )
    key = [PromptRefusals.day, PromptRefusals.owner, PromptRefusals.category]
    session.execute(row.on_conflict_do_update(index_elements=key, set_={"count": PromptRefusals.count + 1}))


def list_refusals(session: Session) -> list[PromptRefusals]:
    """Return all counts, the newest first."""
    ordered = (PromptRefusals.day.desc(), PromptRefusals.owner, PromptRefusals.category)
    return list(session.scalars(select(PromptRefusals).order_by(*ordered)))
