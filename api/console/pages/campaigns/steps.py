"""The steps of a campaign: which are open, which are done, and how their pages are rendered."""

from typing import Any, NamedTuple

from werkzeug.wrappers import Response

from api.campaigns.queries import fetch_campaign
from api.campaigns.schemas import CampaignPath
from api.console.access import current_user
from api.console.rendering import render_page
from common.access.keys import Scope
from common.states.campaigns import CampaignStatus
from common.tables import Campaign

_S = CampaignStatus
EMPTY = (_S.DRAFT, _S.VALIDATING)
UNAPPROVED = (*EMPTY, _S.READY, _S.PROOFING)


class CampaignStep(NamedTuple):
    """One step and its page."""

    title: str
    view: str
    is_open: bool
    is_done: bool


def parse_path(text: str) -> CampaignPath:
    """Return the path parameters for a campaign id; raise RefusedError with ``not_found``."""
    return CampaignPath.model_validate({"campaign_id": text})


def load_campaign(text: str) -> Campaign:
    """Return the caller's campaign; raise RefusedError with ``not_found``."""
    return fetch_campaign(parse_path(text))


def list_steps(row: Campaign) -> list[CampaignStep]:
    """Return the steps of a campaign that its state and the visitor's scopes allow."""
    has_rows, is_approved = row.status not in EMPTY, row.status not in UNAPPROVED
    is_over = row.status.is_over
    steps = [
        CampaignStep("Recipients", "campaigns_recipients:show_recipients", True, has_rows),
        CampaignStep("Prompts", "campaigns_recipients:show_prompts", has_rows, row.quote is not None or is_approved),
        CampaignStep("Proofs", "campaigns_proofs:show_proofs", has_rows, row.quote is not None or is_approved),
        CampaignStep("Approve", "campaigns_proofs:show_approval", has_rows, is_approved),
        CampaignStep("Print", "campaigns_runs:show_progress", is_approved or is_over, is_over),
        CampaignStep("Results", "campaigns_results:show_results", is_approved or row.quote is not None, is_over),
    ]
    return [step for step in steps if step.title != "Approve" or current_user().may(Scope.CAMPAIGNS_APPROVE)]


def find_current_view(row: Campaign) -> str:
    """Return the view of the current step of a campaign."""
    match row.status:
        case _S.DRAFT | _S.VALIDATING:
            return "campaigns_recipients:show_recipients"
        case _S.READY | _S.PROOFING:
            return "campaigns_proofs:show_proofs"
        case _S.COMPLETED | _S.CANCELED | _S.EXPIRED:
            return "campaigns_results:show_results"
        case _:
            return "campaigns_runs:show_progress"


def render_step(template: str, row: Campaign, title: str, status: int = 200, **values: Any) -> Response:
    """Return the page of one step of *row*."""
    return render_page(f"campaigns/{template}", status, campaign=row, steps=list_steps(row), step=title, **values)
