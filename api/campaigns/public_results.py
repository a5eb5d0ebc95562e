"""``/p``: resolve public links to a campaign's images at the time of each request."""

from pathlib import PurePosixPath

from flask import Response
from pydantic import Field
from sqlalchemy.orm import Session

from api.auth.bearer import scope_required
from api.images.files import respond_file
from api.images.schemas import BINARY
from api.runtime.context import current_context
from api.web import responses
from api.web.errors import RefusedError
from api.web.file_routes import sends_files
from api.web.validation import Path
from common.campaigns.results import lines
from common.campaigns.results.lines import Line, LineStatus
from common.campaigns.results.public_links import LinkToken, PublicLinks
from common.images.served_files import PublishedFile
from common.tables import Campaign, Recipient

blueprint = responses.create_blueprint("public links", "Public links to images, as used in email.", "/p")

PRIVATE = {
    "Cache-Control": "private, no-cache",  # a revoked link must not survive in a cache
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


class TokenPath(Path):
    """The signed token of a public link."""

    token: str = Field(max_length=64, json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"})


ANSWERS: responses.Success = {
    200: {"description": "The image", "content": {"image/*": {"schema": BINARY}}},
    302: {"description": "Redirect to a temporary link to the image"},
    304: None,
}


@blueprint.get("/<token>", **responses.describe_route(None, ANSWERS, 404, 410))
@scope_required(None)
@sends_files
def get_public_picture(path: TokenPath) -> Response:
    """Get an image by its public link. No API key is required."""
    context = current_context()
    token = LinkToken.parse(path.token)
    with context.database.reading() as session:
        line = _find_line(session, token) if token is not None else None
    if line is None:
        raise _refuse_link("not_found", "The link is not valid or has expired.")
    file = line.file
    if file is None and line.status is LineStatus.ERASED:
        raise _refuse_link("object_missing", "The image was erased.")
    if file is None:
        raise _refuse_link("image_not_readable", f"The image is not available: its status is {line.status}.")
    response = _respond_picture(file, line)
    response.headers.update(PRIVATE)
    return response


def _respond_picture(file: PublishedFile, line: Line) -> Response:
    context = current_context()
    name = f"picture-{line.index}{PurePosixPath(file.key).suffix}"
    if context.links is not None:
        response = respond_file(file, name)
        response.headers["Content-Disposition"] = "inline"
        return response
    location = context.files.sign_link(file, context.settings.link_seconds, name)
    return Response(status=302, headers={"Location": location})


def _find_line(session: Session, token: LinkToken) -> Line | None:
    """Return the result line for a valid token; None for any other token."""
    recipient = session.get(Recipient, token.recipient_pk)
    campaign = session.get(Campaign, recipient.campaign_id) if recipient is not None else None
    if campaign is None or campaign.deleted_at is not None:
        return None
    context = current_context()
    if not PublicLinks(context.settings.read_secret(), context.settings.base_url).holds(campaign, token):
        return None
    return lines.find_line(session, campaign, token.recipient_pk, token.index)


def _refuse_link(code: str, detail: str) -> RefusedError:
    return RefusedError(code, detail, headers=PRIVATE)
