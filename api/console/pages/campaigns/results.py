"""The results of a campaign: images, variants, downloads, public links and erasure."""

from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.campaigns import result_files, serializers as campaign_serializers
from api.campaigns.public_links import change_links
from api.campaigns.recipient_erasure import erase_recipient_data
from api.campaigns.result_schemas import RecipientPath, SheetQuery
from api.console.pages.campaigns.steps import load_campaign, parse_path, render_step
from api.console.query_params import decode_cursor, encode_cursor
from api.console.routing import FormPage, register_page
from api.console.urls import redirect_to
from api.images import serializers
from api.runtime.context import AppContext, current_context
from api.web.errors import RefusedError, refuse_request
from api.web.file_routes import sends_files
from api.web.problems import FieldError
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.campaigns.results import lines as result_lines
from common.campaigns.results.archive import USUAL_PATTERN
from common.campaigns.results.lines import Line
from common.campaigns.spec import CampaignSpec

PAGE_SIZE = 48
"""Recipients per page."""

MOST_PER_ARM = 8

LINK_NOTES = {"make": "links-made", "revoke": "links-revoked"}

UNKNOWN_RECIPIENT = FieldError(
    code="not_found", detail="is not the ID of anyone on the list of this campaign", pointer="/recipient_id"
)


@register_page("/campaigns/<campaign_id>/results", Scope.CAMPAIGNS_READ)
def show_results(campaign_id: str) -> Response:
    """Show the result of each image in recipient order."""
    context, row, book = current_context(), load_campaign(campaign_id), f"campaigns/{campaign_id}/results"
    with context.database.reading() as session:
        lines, last = result_lines.list_lines(session, row, after=decode_cursor(book), limit=PAGE_SIZE)
        progress = campaign_serializers.serialize_progress(session, row)
    return render_step(
        "results.html",
        row,
        "Results",
        lines=[_serialize_line(line, context) for line in lines],
        progress=progress,
        next=encode_cursor(book, last),
        pattern=USUAL_PATTERN,
    )


@register_page("/campaigns/<campaign_id>/variants", Scope.CAMPAIGNS_READ)
def show_variants(campaign_id: str) -> Response:
    """Compare the variants by cost, block rate and images."""
    context, row = current_context(), load_campaign(campaign_id)
    spec = CampaignSpec.from_row(row.spec)
    with context.database.reading() as session:
        progress = campaign_serializers.serialize_progress(session, row)
        found = result_lines.list_arm_images(session, row, [arm.name for arm in spec.arms], MOST_PER_ARM)
    pictures = {name: [serializers.serialize_image(image, context) for image in each] for name, each in found.items()}
    return render_step("variants.html", row, "Results", arms=spec.arms, progress=progress, pictures=pictures)


@register_page("/campaigns/<campaign_id>/results.csv", Scope.CAMPAIGNS_READ)
def send_table(campaign_id: str) -> Response:
    """Return the results as CSV."""
    return result_files.send_table(load_campaign(campaign_id))


@register_page("/campaigns/<campaign_id>/archive.zip", Scope.CAMPAIGNS_READ)
@sends_files
def send_archive(campaign_id: str) -> Response:
    """Return all images as a ZIP archive."""
    return result_files.send_archive(load_campaign(campaign_id), request.args.get("name") or USUAL_PATTERN)


@register_page("/campaigns/<campaign_id>/contact-sheet.png", Scope.CAMPAIGNS_READ)
@sends_files
def send_sheet(campaign_id: str) -> Response:
    """Return one page of the contact sheet."""
    return result_files.send_sheet(
        load_campaign(campaign_id), SheetQuery.model_validate({"page": request.args.get("page", "1")})
    )


@register_page(
    "/campaigns/<campaign_id>/links/<act>",
    Scope.CAMPAIGNS_WRITE,
    post=True,
    form=FormPage("campaigns_results:show_results"),
)
def change_campaign_links(campaign_id: str, act: str) -> Response:
    """Create or revoke the public links."""
    if act not in LINK_NOTES:
        raise refuse_not_found()
    is_made, before = act == "make", load_campaign(campaign_id).has_links
    change_links(parse_path(campaign_id), are_valid=is_made)
    note = f"{LINK_NOTES[act]}-before" if before == is_made else LINK_NOTES[act]
    return redirect_to("campaigns_results:show_results", campaign_id=campaign_id, note=note)


@register_page(
    "/campaigns/<campaign_id>/erase",
    Scope.CAMPAIGNS_WRITE,
    post=True,
    form=FormPage("campaigns_results:show_results"),
)
def erase_recipient(campaign_id: str) -> Response:
    """Permanently erase a recipient."""
    wanted = request.form.get("recipient_id", "").strip()
    load_campaign(campaign_id)
    try:
        erase_recipient_data(RecipientPath.model_validate({"campaign_id": campaign_id, "recipient_id": wanted}))
    except RefusedError as refused:
        if refused.code != "not_found":
            raise
        raise refuse_request([UNKNOWN_RECIPIENT]) from None
    return redirect_to("campaigns_results:show_results", campaign_id=campaign_id, note="recipient-erased")


def _serialize_line(line: Line, context: AppContext) -> dict[str, Any]:
    """Return the fields of *line* to show; erased recipients have no image."""
    file, url, thumbnail = line.file, None, None
    if file is not None:
        seconds, name = context.settings.link_seconds, f"picture-{line.index}"
        url = context.files.sign_link(file, seconds, name)
        thumbnail = url if line.thumbnail is None else context.files.sign_link(line.thumbnail, seconds)
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
