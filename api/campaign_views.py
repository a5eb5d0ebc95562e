"""How campaigns are found and shown."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from api import campaign_progress
from api.auth.bearer import caller
from api.jobs import serializers
from api.runtime.context import services
from api.schemas import campaigns as shown
from api.web.validation import not_found
from common.campaigns import digest, queries
from common.campaigns.recipients import importing
from common.campaigns.spec import Arm, CampaignSpec, SeedRule
from common.tables import Campaign, RecipientList
from common.tables.campaign_states import ListStatus
from common.tables.webhook_states import parse_events


def find(session: Session, path: shown.CampaignPath) -> Campaign:
    """Return the caller's campaign; raise RefusedError with ``not_found``."""
    row = queries.find(session, caller().owner, path.campaign_id)
    if row is None:
        raise not_found()
    return row


@contextmanager
def changing(path: shown.CampaignPath) -> Iterator[tuple[Session, Campaign]]:
    """Yield a transaction and the caller's campaign, locked; raise RefusedError with ``not_found``."""
    with services().database.transaction() as session:
        row = queries.find(session, caller().owner, path.campaign_id, to_change=True)
        if row is None:
            raise not_found()
        yield session, row


def show(session: Session, row: Campaign, *, with_progress: bool = True) -> shown.Campaign:
    """Return *row* as the api shows it; its progress is left out of lists, for it is counted."""
    spec, lists = CampaignSpec.from_row(row.spec), queries.current_lists(session, row.id)
    return shown.Campaign(
        id=row.id,
        name=row.name,
        status=row.status,
        held_reason=row.held_reason,
        spec_digest=digest.compute(session, row, services().settings) if lists else None,
        variables=sorted(importing.variables_of(spec)),
        arms=[_show_arm(arm) for arm in spec.arms],
        recipients=_show_recipients(lists),
        budget=show_budget(row),
        progress=campaign_progress.show_progress(session, row) if with_progress else None,
        quote=campaign_progress.show_quote(row),
        priority=row.priority,
        start_at=row.start_at,
        deadline=row.deadline_at,
        metadata=row.wish.get("metadata", {}),
        webhook_url=row.webhook_url,
        webhook_events=None if row.webhook_events is None else list(parse_events(row.webhook_events)),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        **_show_rules(spec),
    )


def show_budget(row: Campaign) -> shown.CampaignBudget:
    """Return what a campaign may cost, and does."""
    return shown.CampaignBudget(amount=row.budget, spent=row.spent, held=row.held, currency=row.currency)


def _show_rules(spec: CampaignSpec) -> dict[str, Any]:
    rules = spec.model_dump(exclude={"arms"})
    return rules | {"seed": spec.seed if spec.seed_rule is SeedRule.FIXED else None}


def _show_arm(arm: Arm) -> shown.CampaignArm:
    return shown.CampaignArm(
        name=arm.name,
        weight=arm.weight,
        template=shown.CampaignTemplate(**arm.template.model_dump()),
        style=arm.style,
        palette=[*arm.palette],
        request=serializers.show_request(arm.request),
    )


def _show_recipients(lists: Sequence[RecipientList]) -> shown.CampaignRecipients:
    return shown.CampaignRecipients(
        accepted=sum(each.accepted for each in lists),
        rejected=sum(each.rejected for each in lists),
        approved=sum(each.accepted for each in lists if each.approved_at is not None),
        lists=[
            shown.CampaignRecipientList(
                number=each.number,
                status=ListStatus(each.status),
                columns=each.columns,
                accepted=each.accepted,
                rejected=each.rejected,
                digest=each.digest,
                approved_at=each.approved_at,
                created_at=each.created_at,
            )
            for each in lists
        ],
    )
