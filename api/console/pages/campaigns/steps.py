"""The path through a campaign: its steps, which of them are open, and what each page of it shows at its head."""

from typing import Any, NamedTuple

from werkzeug.wrappers import Response

from api.campaigns import serializers
from api.campaigns.schemas import CampaignPath
from api.console.access import visitor
from api.console.rendering import render
from api.runtime.context import services
from common.keys import Scope
from common.tables import Campaign
from common.tables.campaign_states import CampaignStatus

_S = CampaignStatus
EMPTY = (_S.DRAFT, _S.VALIDATING)
UNAPPROVED = (*EMPTY, _S.READY, _S.PROOFING)


class Step(NamedTuple):
    """One page of the path."""

    title: str
    view: str
    is_open: bool
    is_done: bool


def path_of(text: str) -> CampaignPath:
    """Return the path that a part of the address means; raise RefusedError with ``not_found``."""
    return CampaignPath.model_validate({"campaign_id": text})


def find(text: str) -> Campaign:
    """Return the caller's campaign; raise RefusedError with ``not_found``."""
    with services().database.reading() as session:
        return serializers.find(session, path_of(text))


def list_steps(row: Campaign) -> list[Step]:
    """Return the steps of a campaign, as its state and the visitor's key allow them."""
    has_rows, is_approved = row.status not in EMPTY, row.status not in UNAPPROVED
    is_over = row.status.is_over
    steps = [
        Step("Recipients", "campaigns_recipients:show_recipients", True, has_rows),
        Step("Prompts", "campaigns_recipients:show_prompts", has_rows, row.quote is not None or is_approved),
        Step("Proofs", "campaigns_proofs:show_proofs", has_rows, row.quote is not None or is_approved),
        Step("Approve", "campaigns_proofs:show_approval", has_rows, is_approved),
        Step("Print", "campaigns_runs:show_watch", is_approved or is_over, is_over),
        Step("Results", "campaigns_results:show_results", is_approved or row.quote is not None, is_over),
    ]
    return [step for step in steps if step.title != "Approve" or visitor().may(Scope.CAMPAIGNS_APPROVE)]


def stand_of(row: Campaign) -> str:
    """Return the view of the step at which a campaign stands."""
    match row.status:
        case _S.DRAFT | _S.VALIDATING:
            return "campaigns_recipients:show_recipients"
        case _S.READY | _S.PROOFING:
            return "campaigns_proofs:show_proofs"
        case _S.COMPLETED | _S.CANCELED | _S.EXPIRED:
            return "campaigns_results:show_results"
        case _:
            return "campaigns_runs:show_watch"


def render_step(template: str, row: Campaign, title: str, status: int = 200, **values: Any) -> Response:
    """Return the page of one step of *row*."""
    return render(f"campaigns/{template}", status, campaign=row, steps=list_steps(row), step=title, **values)
