"""``/v1/campaigns/{id}/recipients``: upload and list recipients, download row errors and preview prompts."""

import csv
import io
from collections.abc import Iterator, Sequence
from uuid import UUID

from flask import Response, stream_with_context

from api.auth.bearer import current_caller, scope_required
from api.campaigns import recipient_schemas, recipient_upload
from api.campaigns.queries import load_campaign
from api.campaigns.recipient_schemas import FILE, ErrorsQuery, Preview, Receipt, RecipientPage, UploadQuery
from api.campaigns.schemas import CampaignPath
from api.images.schemas import BINARY
from api.images.serializers import serialize_prompt_tokens
from api.runtime.context import current_context
from api.runtime.uploads import takes_upload
from api.web import responses
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.campaigns import queries, rendering
from common.campaigns.csv_injection import defuse_cell
from common.campaigns.printing import proofs
from common.campaigns.recipients import queries as recipient_queries
from common.campaigns.recipients.formats.rows import ERROR_COLUMNS
from common.campaigns.spec import CampaignSpec
from common.tables import Campaign, Recipient, RecipientList

blueprint = responses.create_blueprint("recipients", "The recipients of a campaign.", "/v1/campaigns")

ERRORS: responses.Success = {
    200: {
        "description": "The rejected rows as uploaded, with the reasons",
        "content": {"text/csv": {"schema": BINARY}},
    }
}
PREVIEW_PROBLEMS = (400, 404, 408, 409, 413, 415, 422)


@blueprint.put(
    "/<campaign_id>/recipients",
    request_body=FILE,
    **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Receipt}, 400, 404, 408, 409, 413, 415, 422, 429),
)
@scope_required(Scope.CAMPAIGNS_WRITE)
@takes_upload(recipient_upload.RECIPIENTS_UPLOAD)
def put_recipients(path: CampaignPath, query: UploadQuery) -> Response:
    """Upload a recipients file. Every row is rendered and checked; a rejected file changes nothing."""
    return responses.respond_json(recipient_upload.receive_recipients(path, query))


@blueprint.get(
    "/<campaign_id>/recipients", **responses.describe_route(Scope.CAMPAIGNS_READ, {200: RecipientPage}, 400, 404, 422)
)
@scope_required(Scope.CAMPAIGNS_READ)
def list_recipients(path: CampaignPath, query: recipient_schemas.RecipientQuery) -> Response:
    """List recipients in upload order."""
    context, book = current_context(), f"{current_caller().owner}/campaigns/{path.campaign_id}/recipients"

    def fetch(*, after: UUID | None, limit: int) -> Sequence[Recipient]:
        with context.database.reading() as session:
            campaign = load_campaign(session, path)
            return recipient_queries.list_recipients(session, campaign, after=after, limit=limit)

    page = context.cursors.paged(book, query, fetch)
    shown = [_serialize_recipient(row) for row in page.rows]
    return responses.respond_json(RecipientPage(data=shown, has_more=page.has_more, next=page.next))


@blueprint.get(
    "/<campaign_id>/recipients/errors.csv", **responses.describe_route(Scope.CAMPAIGNS_READ, ERRORS, 404, 422)
)
@scope_required(Scope.CAMPAIGNS_READ)
def get_recipient_errors(path: CampaignPath, query: ErrorsQuery) -> Response:
    """Download the rejected rows with the reasons. The file can be corrected and appended unchanged otherwise."""
    with current_context().database.reading() as session:
        campaign = load_campaign(session, path)
        found = recipient_queries.find_list(session, campaign, query.list)
    if found is None:
        raise refuse_not_found()
    return send_errors(found)


def send_errors(found: RecipientList) -> Response:
    """Return the rejected rows of a list as CSV that can be corrected and uploaded again."""
    headers = {"Content-Disposition": 'attachment; filename="errors.csv"'}
    lines = stream_with_context(_format_errors(found))
    return Response(lines, headers=headers, content_type="text/csv; charset=utf-8")


@blueprint.post(
    "/<campaign_id>/preview", **responses.describe_route(Scope.CAMPAIGNS_READ, {200: Preview}, *PREVIEW_PROBLEMS)
)
@scope_required(Scope.CAMPAIGNS_READ)
def preview_campaign(path: CampaignPath, body: recipient_schemas.Sample) -> Response:
    """Render the prompts of one recipient or of a sample, without printing. The sample is the one used for proofs."""
    with current_context().database.reading() as session:
        campaign = load_campaign(session, path)
        spec = CampaignSpec.from_row(campaign.spec)
        if body.recipient_id is None:
            rows: Sequence[Recipient] = proofs.choose_recipients(
                session, campaign, spec, body.k or recipient_schemas.USUALLY_PREVIEWED
            )
        else:
            found = queries.find_recipient(session, campaign, body.recipient_id)
            rows = [] if found is None or found.erased_at is not None else [found]
    if body.recipient_id is not None and not rows:
        raise refuse_not_found()
    return responses.respond_json(Preview(data=[render_prompts(campaign, spec, row) for row in rows]))


def render_prompts(campaign: Campaign, spec: CampaignSpec, row: Recipient) -> recipient_schemas.Rendered:
    """Return the prompts and seeds that a recipient's prints would use."""
    requests = [
        rendering.build_request(spec, campaign.salt, row, index)[0] for index in range(spec.images_per_recipient)
    ]
    return recipient_schemas.Rendered(
        recipient_id=row.recipient_id,
        row=row.row,
        list_number=row.list_number,
        arm=row.arm,
        prompt=requests[0].prompt,
        prompt_tokens=serialize_prompt_tokens(requests[0].model, requests[0].prompt, current_context()),
        negative_prompt=requests[0].negative_prompt,
        seeds=[asked.seed for asked in requests],
    )


def _serialize_recipient(row: Recipient) -> recipient_schemas.Recipient:
    return recipient_schemas.Recipient(
        id=row.id,
        recipient_id=row.recipient_id,
        list_number=row.list_number,
        row=row.row,
        arm=row.arm,
        values=row.fields,
        erased=row.erased_at is not None,
    )


def _format_errors(found: RecipientList) -> Iterator[str]:
    """Yield the errors file: a BOM so that spreadsheets detect UTF-8, the uploaded columns, and the reasons."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow([*map(defuse_cell, found.columns), *ERROR_COLUMNS])
    for row in recipient_queries.iterate_rejected_rows(current_context().database, found):
        reasons = ["; ".join(error[name] for error in row.errors) for name in ("code", "column", "detail")]
        cells = row.fields + [""] * (len(found.columns) - len(row.fields))
        writer.writerow(map(defuse_cell, [*cells, str(row.row), *reasons]))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()
