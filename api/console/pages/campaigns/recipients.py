"""The recipients of a campaign: upload a file, and show rejected rows and prompts."""

from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from flask import jsonify, request
from werkzeug.wrappers import Response

from api.campaigns import recipients
from api.campaigns.recipient_schemas import ErrorsQuery, UploadQuery
from api.campaigns.recipient_upload import RECIPIENTS_UPLOAD, receive_recipients
from api.console.pages.campaigns.steps import load_campaign, parse_path, render_step
from api.console.query_params import paged, read_filters, read_text
from api.console.routing import register_page
from api.console.urls import build_page_url
from api.runtime.context import current_context
from api.runtime.uploads import takes_upload
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.campaigns import queries, rendering
from common.campaigns.placeholders import spell_placeholder
from common.campaigns.recipients import queries as recipient_queries
from common.campaigns.recipients.formats.detect import MEDIA_TYPES
from common.campaigns.recipients.formats.encodings import TITLES
from common.campaigns.recipients.formats.headings import LONGEST_COLUMN
from common.campaigns.recipients.lists import EXTENDABLE, UNAPPROVED, ListContents
from common.campaigns.recipients.notes import describe_contents
from common.campaigns.spec import CampaignSpec
from common.tables import Recipient

PAGE_SIZE = 20
MOST_ERRORS = 50


@register_page("/campaigns/<campaign_id>/recipients", Scope.CAMPAIGNS_READ)
def show_recipients(campaign_id: str) -> Response:
    """Show the lists of recipients and the rejected rows of the newest."""
    context, row = current_context(), load_campaign(campaign_id)
    with context.database.reading() as session:
        lists = queries.list_current_lists(session, row.id)
        newest = recipient_queries.find_list(session, row, None)
    bad = (
        []
        if newest is None
        else [*islice(recipient_queries.iterate_rejected_rows(context.database, newest), MOST_ERRORS)]
    )
    return render_step(
        "recipients.html",
        row,
        "Recipients",
        lists=lists,
        newest=newest,
        notes=[] if newest is None else [*describe_contents(ListContents.from_row(newest))],
        id_column=next((each.id_column for each in lists if each.id_column), None),
        bad=bad,
        spell=spell_placeholder,
        columns=sorted(rendering.collect_variables(CampaignSpec.from_row(row.spec))),
        takes_new=row.status in UNAPPROVED,
        takes_more=row.status in EXTENDABLE or (row.status in UNAPPROVED and bool(lists)),
        kinds=MEDIA_TYPES,
        charsets=TITLES,
        most=context.settings.max_recipients,
    )


@register_page("/campaigns/<campaign_id>/recipients", Scope.CAMPAIGNS_WRITE, post=True)
@takes_upload(RECIPIENTS_UPLOAD)
def upload_recipients(campaign_id: str) -> Response:
    """Import the uploaded file (the request body); invalid rows are rejected and shown."""
    mode = "append" if request.args.get("mode") == "append" else "replace"
    column = read_text("id_column", LONGEST_COLUMN) or None
    receipt = receive_recipients(parse_path(campaign_id), UploadQuery(mode=mode, on_error="skip", id_column=column))
    note = "recipients-taken" if not receipt.rejected else "recipients-taken-in-part"
    return jsonify(url=build_page_url("campaigns_recipients:show_recipients", campaign_id=campaign_id, note=note))


@register_page("/campaigns/<campaign_id>/errors.csv", Scope.CAMPAIGNS_READ)
def send_errors(campaign_id: str) -> Response:
    """Return the rejected rows with their errors as CSV."""
    row, query = load_campaign(campaign_id), ErrorsQuery.model_validate(read_filters("list"))
    with current_context().database.reading() as session:
        found = recipient_queries.find_list(session, row, query.list)
    if found is None:
        raise refuse_not_found()
    return recipients.send_errors(found)


@register_page("/campaigns/<campaign_id>/prompts", Scope.CAMPAIGNS_READ)
def show_prompts(campaign_id: str) -> Response:
    """Show the prompt of each recipient; nothing is printed."""
    row, wanted = load_campaign(campaign_id), read_text("recipient", 255)

    def fetch(*, after: UUID | None, limit: int) -> Sequence[Recipient]:
        if not wanted:
            return recipient_queries.list_recipients(session, row, after=after, limit=limit)
        found = queries.find_recipient(session, row, wanted)
        return [found] if found is not None else []

    with current_context().database.reading() as session:
        page = paged(f"campaigns/{campaign_id}/prompts", PAGE_SIZE, fetch)
    spec = CampaignSpec.from_row(row.spec)
    return render_step(
        "prompts.html",
        row,
        "Prompts",
        rows=[recipients.render_prompts(row, spec, each) for each in page.rows if each.erased_at is None],
        wanted=wanted,
        arms=spec.arms,
        next=page.next,
    )
