"""``/v1/campaigns/{id}/results…``: download results as JSON Lines, CSV, ZIP archive and contact sheet."""

from flask import Response

from api.auth.bearer import scope_required
from api.campaigns import result_files
from api.campaigns.queries import fetch_campaign
from api.campaigns.result_schemas import ArchiveQuery, SheetQuery
from api.campaigns.schemas import CampaignPath
from api.images.schemas import BINARY
from api.web import responses
from api.web.file_routes import sends_files
from common.access.keys import Scope

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
    return result_files.send_lines(fetch_campaign(path))


@blueprint.get("/<campaign_id>/results.csv", **responses.describe_route(Scope.CAMPAIGNS_READ, CSV, 404))
@scope_required(Scope.CAMPAIGNS_READ)
def get_results_as_csv(path: CampaignPath) -> Response:
    """Download the results as CSV. Cells that a spreadsheet could read as formulas start with an apostrophe."""
    return result_files.send_table(fetch_campaign(path))


@blueprint.get("/<campaign_id>/archive.zip", **responses.describe_route(Scope.CAMPAIGNS_READ, ZIP, 404, 422))
@scope_required(Scope.CAMPAIGNS_READ)
@sends_files
def get_archive(path: CampaignPath, query: ArchiveQuery) -> Response:
    """Download all available images as a ZIP archive, which is streamed."""
    return result_files.send_archive(fetch_campaign(path), query.name)


@blueprint.get("/<campaign_id>/contact-sheet.png", **responses.describe_route(Scope.CAMPAIGNS_READ, SHEET, 404, 422))
@scope_required(Scope.CAMPAIGNS_READ)
@sends_files
def get_contact_sheet(path: CampaignPath, query: SheetQuery) -> Response:
    """Download a page of the contact sheet. Missing images are shown with the reason."""
    return result_files.send_sheet(fetch_campaign(path), query)
