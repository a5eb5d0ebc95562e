"""``/v1/campaigns/{id}/results…``: what became of each picture, as lines, as an archive and to look at."""

from collections.abc import Iterator
from uuid import UUID

from flask import Response

from api.auth.bearer import caller, needs
from api.campaigns.result_files import Presenter, as_csv, as_jsonl
from api.campaigns.result_schemas import ArchiveQuery, CampaignPath, ResultLine, SheetQuery
from api.images.schemas import BINARY
from api.runtime.context import services
from api.web import responses
from api.web.errors import refuse
from api.web.problems import Fault
from api.web.validation import not_found
from common.campaigns import queries
from common.campaigns.results import archive, lines as result_lines
from common.campaigns.results.archive import InvalidPatternError, Names
from common.campaigns.spec import CampaignSpec
from common.keys import Scope
from common.storage.links import content_disposition
from common.tables import Campaign

blueprint = responses.create_blueprint("results", "What became of a campaign's pictures.", "/v1/campaigns")


def _describe_file(media_type: str, description: str) -> responses.Success:
    return {200: {"description": description, "content": {media_type: {"schema": BINARY}}}}


JSONL = _describe_file("application/jsonl", "One line of JSON for each picture; see `ResultLine`")
CSV = _describe_file("text/csv", "One row for each picture, UTF-8, under a header")
ZIP = _describe_file("application/zip", "The pictures")
SHEET: responses.Success = {
    200: {
        "description": "The page",
        "content": {"image/png": {"schema": BINARY}},
        "headers": {"Link": {"description": "The `next` page, if there is one.", "schema": {"type": "string"}}},
    }
}


@blueprint.get("/<campaign_id>/results.jsonl", **responses.describe(Scope.CAMPAIGNS_READ, JSONL, 404))
@needs(Scope.CAMPAIGNS_READ)
def get_results_as_jsonl(path: CampaignPath) -> Response:
    """Fetch what became of each picture, one JSON object a line, in the order of the recipients."""
    campaign = find(path.campaign_id)
    return _stream(as_jsonl(_read(campaign)), "application/jsonl", f"{_stem(campaign)}-results.jsonl")


@blueprint.get("/<campaign_id>/results.csv", **responses.describe(Scope.CAMPAIGNS_READ, CSV, 404))
@needs(Scope.CAMPAIGNS_READ)
def get_results_as_csv(path: CampaignPath) -> Response:
    """Fetch the same as a table; cells that a spreadsheet would take for formulas begin with an apostrophe."""
    return send_table(find(path.campaign_id))


def send_table(campaign: Campaign) -> Response:
    """Answer with what became of each picture, as CSV."""
    return _stream(as_csv(_read(campaign)), "text/csv; charset=utf-8", f"{_stem(campaign)}-results.csv")


@blueprint.get("/<campaign_id>/archive.zip", **responses.describe(Scope.CAMPAIGNS_READ, ZIP, 404, 422))
@needs(Scope.CAMPAIGNS_READ)
def get_archive(path: CampaignPath, query: ArchiveQuery) -> Response:
    """Fetch all pictures there are, in one file that is written while it is read."""
    return send_archive(find(path.campaign_id), query.name)


def send_archive(campaign: Campaign, pattern: str) -> Response:
    """Answer with all pictures there are, called by *pattern*; raise RefusedError for one that names nothing."""
    context = services()
    try:
        names = Names(pattern)
    except InvalidPatternError as error:
        raise refuse([Fault(code=error.code, detail=error.message, parameter="name")]) from None
    lines = result_lines.read_lines(context.database, campaign)
    return _stream(archive.pack(context.storage, lines, names), "application/zip", f"{_stem(campaign)}.zip")


@blueprint.get("/<campaign_id>/contact-sheet.png", **responses.describe(Scope.CAMPAIGNS_READ, SHEET, 404, 422))
@needs(Scope.CAMPAIGNS_READ)
def get_contact_sheet(path: CampaignPath, query: SheetQuery) -> Response:
    """Fetch one picture that shows many; where there is no picture it says why."""
    return send_sheet(find(path.campaign_id), query)


def send_sheet(campaign: Campaign, query: SheetQuery) -> Response:
    """Answer with a page of thumbnails; raise RefusedError with ``not_found`` for one after the last."""
    from api.campaigns import contact_sheet  # noqa: PLC0415  (Pillow, for this alone)

    context, spec = services(), CampaignSpec.from_row(campaign.spec)
    with context.database.reading() as session:
        total = result_lines.count_rows(session, campaign) * spec.images_per_recipient
        lines = result_lines.read_page(session, campaign, (query.page - 1) * query.per_page, query.per_page)
    pages = max(1, -(-total // query.per_page))
    if query.page > pages:
        raise not_found()
    title = campaign.name if pages == 1 else f"{campaign.name}, page {query.page} of {pages}"
    response = Response(contact_sheet.draw(title, spec, lines, context.storage), content_type="image/png")
    response.headers["Content-Disposition"] = content_disposition(f"{_stem(campaign)}-contact-sheet-{query.page}.png")
    if query.page < pages:
        target = f"{context.path_prefix}/v1/campaigns/{campaign.id}/contact-sheet.png"
        response.headers["Link"] = f'<{target}?page={query.page + 1}&per_page={query.per_page}>; rel="next"'
    return response


def find(campaign_id: UUID) -> Campaign:
    """Return a campaign of the caller's; raise RefusedError with ``not_found``."""
    with services().database.reading() as session:
        campaign = queries.find(session, caller().owner, campaign_id)
    if campaign is None:
        raise not_found()
    return campaign


def _read(campaign: Campaign) -> Iterator[ResultLine]:
    context = services()
    presenter = Presenter(campaign, context)
    return (presenter.show(line) for line in result_lines.read_lines(context.database, campaign))


def _stream(content: Iterator[bytes], content_type: str, filename: str) -> Response:
    response = Response(content, content_type=content_type)
    response.headers["Content-Disposition"] = content_disposition(filename)
    return response


def _stem(campaign: Campaign) -> str:
    return archive.sanitise(campaign.name) or "campaign"
