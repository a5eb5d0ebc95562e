"""``/v1/campaigns/{id}/results…``: download results as JSON Lines, CSV, ZIP archive and contact sheet."""

from collections.abc import Iterator
from uuid import UUID

from flask import Response

from api.auth.bearer import current_caller, scope_required
from api.campaigns.result_files import ResultSerializer, encode_csv, encode_jsonl
from api.campaigns.result_schemas import ArchiveQuery, CampaignPath, ResultLine, SheetQuery
from api.images.schemas import BINARY
from api.runtime.context import current_context
from api.web import responses
from api.web.errors import refuse_request
from api.web.problems import FieldError
from api.web.validation import refuse_not_found
from common.campaigns import queries
from common.campaigns.results import archive, lines as result_lines
from common.campaigns.results.archive import FileNames, InvalidPatternError
from common.campaigns.spec import CampaignSpec
from common.keys import Scope
from common.storage.links import format_content_disposition
from common.tables import Campaign

blueprint = responses.create_blueprint("results", "The results of a campaign.", "/v1/campaigns")


def _describe_file(media_type: str, description: str) -> responses.Success:
    return {200: {"description": description, "content": {media_type: {"schema": BINARY}}}}


JSONL = _describe_file("application/jsonl", "One JSON object per image; see `ResultLine`")
CSV = _describe_file("text/csv", "One row per image, in UTF-8, with a header row")
ZIP = _describe_file("application/zip", "The images")
SHEET: responses.Success = {
    200: {
        "description": "The page of the contact sheet",
        "content": {"image/png": {"schema": BINARY}},
        "headers": {"Link": {"description": "Link to the `next` page, if there is one.", "schema": {"type": "string"}}},
    }
}


@blueprint.get("/<campaign_id>/results.jsonl", **responses.describe_route(Scope.CAMPAIGNS_READ, JSONL, 404))
@scope_required(Scope.CAMPAIGNS_READ)
def get_results_as_jsonl(path: CampaignPath) -> Response:
    """Download the result of each image as JSON Lines, in the order of the recipients."""
    campaign = load_campaign(path.campaign_id)
    return _stream_response(
        encode_jsonl(_iter_result_lines(campaign)), "application/jsonl", f"{_build_file_stem(campaign)}-results.jsonl"
    )


@blueprint.get("/<campaign_id>/results.csv", **responses.describe_route(Scope.CAMPAIGNS_READ, CSV, 404))
@scope_required(Scope.CAMPAIGNS_READ)
def get_results_as_csv(path: CampaignPath) -> Response:
    """Download the results as CSV. Cells that a spreadsheet could read as formulas start with an apostrophe."""
    return send_table(load_campaign(path.campaign_id))


def send_table(campaign: Campaign) -> Response:
    """Return the results of *campaign* as CSV."""
    return _stream_response(
        encode_csv(_iter_result_lines(campaign)), "text/csv; charset=utf-8", f"{_build_file_stem(campaign)}-results.csv"
    )


@blueprint.get("/<campaign_id>/archive.zip", **responses.describe_route(Scope.CAMPAIGNS_READ, ZIP, 404, 422))
@scope_required(Scope.CAMPAIGNS_READ)
def get_archive(path: CampaignPath, query: ArchiveQuery) -> Response:
    """Download all available images as a ZIP archive, which is streamed."""
    return send_archive(load_campaign(path.campaign_id), query.name)


def send_archive(campaign: Campaign, pattern: str) -> Response:
    """Return an archive of all available images, named by *pattern*; raise RefusedError for an invalid pattern."""
    context = current_context()
    try:
        names = FileNames(pattern)
    except InvalidPatternError as error:
        raise refuse_request([FieldError(code=error.code, detail=error.message, parameter="name")]) from None
    lines = result_lines.iterate_lines(context.database, campaign)
    return _stream_response(
        archive.pack_archive(context.storage, lines, names), "application/zip", f"{_build_file_stem(campaign)}.zip"
    )


@blueprint.get("/<campaign_id>/contact-sheet.png", **responses.describe_route(Scope.CAMPAIGNS_READ, SHEET, 404, 422))
@scope_required(Scope.CAMPAIGNS_READ)
def get_contact_sheet(path: CampaignPath, query: SheetQuery) -> Response:
    """Download a page of the contact sheet. Missing images are shown with the reason."""
    return send_sheet(load_campaign(path.campaign_id), query)


def send_sheet(campaign: Campaign, query: SheetQuery) -> Response:
    """Return a page of thumbnails; raise RefusedError with ``not_found`` for a page after the last."""
    from api.campaigns import contact_sheet  # noqa: PLC0415  (Pillow, for this alone)

    context, spec = current_context(), CampaignSpec.from_row(campaign.spec)
    with context.database.reading() as session:
        total = result_lines.count_rows(session, campaign) * spec.images_per_recipient
        lines = result_lines.fetch_lines(session, campaign, (query.page - 1) * query.per_page, query.per_page)
    pages = max(1, -(-total // query.per_page))
    if query.page > pages:
        raise refuse_not_found()
    title = campaign.name if pages == 1 else f"{campaign.name}, page {query.page} of {pages}"
    response = Response(
        contact_sheet.draw_campaign_sheet(title, spec, lines, context.storage), content_type="image/png"
    )
    response.headers["Content-Disposition"] = format_content_disposition(
        f"{_build_file_stem(campaign)}-contact-sheet-{query.page}.png"
    )
    if query.page < pages:
        target = f"{context.path_prefix}/v1/campaigns/{campaign.id}/contact-sheet.png"
        response.headers["Link"] = f'<{target}?page={query.page + 1}&per_page={query.per_page}>; rel="next"'
    return response


def load_campaign(campaign_id: UUID) -> Campaign:
    """Return a campaign of the caller; raise RefusedError with ``not_found``."""
    with current_context().database.reading() as session:
        campaign = queries.find_campaign(session, current_caller().owner, campaign_id)
    if campaign is None:
        raise refuse_not_found()
    return campaign


def _iter_result_lines(campaign: Campaign) -> Iterator[ResultLine]:
    context = current_context()
    presenter = ResultSerializer(campaign, context)
    return (presenter.show(line) for line in result_lines.iterate_lines(context.database, campaign))


def _stream_response(content: Iterator[bytes], content_type: str, filename: str) -> Response:
    response = Response(content, content_type=content_type)
    response.headers["Content-Disposition"] = format_content_disposition(filename)
    return response


def _build_file_stem(campaign: Campaign) -> str:
    return archive.sanitise_name(campaign.name) or "campaign"
