"""What became of a campaign's pictures: to look at, arm beside arm, to fetch, to link from e-mails, and to erase."""

from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.campaigns import results, serializers as campaign_serializers
from api.campaigns.public_links import change_links
from api.campaigns.recipient_erasure import erase
from api.campaigns.result_schemas import RecipientPath, SheetQuery
from api.console.pages.campaigns.steps import find, path_of, render_step
from api.console.query_params import read_cursor, write_cursor
from api.console.routing import page
from api.console.urls import lead_to
from api.images import serializers
from api.runtime.context import Context, services
from common.campaigns.results import lines as result_lines, public_links
from common.campaigns.results.archive import USUAL_PATTERN
from common.campaigns.results.lines import Line
from common.campaigns.spec import CampaignSpec
from common.keys import Scope
from common.storage.links import Linked

PAGE_SIZE = 48
"""Recipients a page."""

SHOWN_OF_ARM = 8


@page("/campaigns/<campaign_id>/results", Scope.CAMPAIGNS_READ)
def show_results(campaign_id: str) -> Response:
    """Show what became of each picture, in the order of the recipients."""
    context, row, book = services(), find(campaign_id), f"campaigns/{campaign_id}/results"
    with context.database.reading() as session:
        lines, last = result_lines.list_page(session, row, after=read_cursor(book), limit=PAGE_SIZE)
        progress = campaign_serializers.show_progress(session, row)
    return render_step(
        "results.html",
        row,
        "Results",
        lines=[_show(line, context) for line in lines],
        progress=progress,
        next=write_cursor(book, last),
        pattern=USUAL_PATTERN,
    )


@page("/campaigns/<campaign_id>/variants", Scope.CAMPAIGNS_READ)
def show_variants(campaign_id: str) -> Response:
    """Show the arms of a split side by side: what each costs, how much of it is blocked, and how it looks."""
    context, row = services(), find(campaign_id)
    spec = CampaignSpec.from_row(row.spec)
    with context.database.reading() as session:
        progress = campaign_serializers.show_progress(session, row)
        found = result_lines.list_of_arms(session, row, [arm.name for arm in spec.arms], SHOWN_OF_ARM)
    pictures = {name: [serializers.show_image(image, context) for image in each] for name, each in found.items()}
    return render_step("variants.html", row, "Results", arms=spec.arms, progress=progress, pictures=pictures)


@page("/campaigns/<campaign_id>/results.csv", Scope.CAMPAIGNS_READ)
def send_table(campaign_id: str) -> Response:
    """Send what became of each picture, as CSV."""
    return results.send_table(find(campaign_id))


@page("/campaigns/<campaign_id>/archive.zip", Scope.CAMPAIGNS_READ)
def send_archive(campaign_id: str) -> Response:
    """Send all pictures there are."""
    return results.send_archive(find(campaign_id), request.args.get("name") or USUAL_PATTERN)


@page("/campaigns/<campaign_id>/contact-sheet.png", Scope.CAMPAIGNS_READ)
def send_sheet(campaign_id: str) -> Response:
    """Send a page of thumbnails."""
    return results.send_sheet(find(campaign_id), SheetQuery.model_validate({"page": request.args.get("page", "1")}))


@page("/campaigns/<campaign_id>/links/<act>", Scope.CAMPAIGNS_WRITE, post=True)
def change_links_of(campaign_id: str, act: str) -> Response:
    """Make the links for e-mails, or revoke them."""
    is_made = act == "make"
    change_links(path_of(campaign_id).campaign_id, public_links.make if is_made else public_links.revoke)
    note = "links-made" if is_made else "links-revoked"
    return lead_to("campaigns_results:show_results", campaign_id=campaign_id, note=note)


@page("/campaigns/<campaign_id>/erase", Scope.CAMPAIGNS_WRITE, post=True)
def erase_recipient(campaign_id: str) -> Response:
    """Erase one person for good."""
    given = {"campaign_id": campaign_id, "recipient_id": request.form.get("recipient_id", "").strip()}
    path = RecipientPath.model_validate(given)
    erase(path.campaign_id, path.recipient_id)
    return lead_to("campaigns_results:show_results", campaign_id=campaign_id, note="recipient-erased")


def _show(line: Line, context: Context) -> dict[str, Any]:
    """Return what is shown of *line*; of somebody who was erased, nothing of the picture."""
    file, url, thumbnail = line.file, None, None
    if file is not None:
        url = serializers.sign(Linked(file.key, file.content_type, f"picture-{line.index}"), context)
        thumbnail = url
        if file.thumbnail_key is not None and line.image is not None:
            thumbnail = serializers.show_image(line.image, context).thumbnail_url
    made = line.made
    return {
        "recipient_id": line.recipient.recipient_id,
        "index": line.index,
        "arm": line.recipient.arm,
        "status": line.status,
        "picture": line.picture,
        "url": url,
        "thumbnail": thumbnail,
        "amount": line.amount,
        "error": made.error_message or made.error_code if made is not None else None,
        "job_id": made.job_id if made is not None else None,
        "size": (line.image.width, line.image.height) if line.image is not None else None,
    }
