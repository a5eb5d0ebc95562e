"""``/p``: where the links in e-mails lead; each click is looked up, and finds what is there now."""

from pathlib import PurePosixPath

from flask import Response
from pydantic import Field
from sqlalchemy.orm import Session

from api.auth.bearer import needs
from api.images.files import answer_file
from api.images.schemas import BINARY
from api.runtime.context import services
from api.web import responses
from api.web.errors import RefusedError
from api.web.validation import Path
from common.campaigns.results import lines
from common.campaigns.results.lines import File, Line, LineStatus
from common.campaigns.results.public_links import PublicLinks, Token
from common.storage.links import Linked
from common.tables import Campaign, Recipient

blueprint = responses.create_blueprint("public links", "Links to pictures, as they stand in e-mails.", "/p")

PRIVATE = {
    "Cache-Control": "private, no-cache",  # a link that is revoked must not live on in a cache
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


class TokenPath(Path):
    """Names a recipient's picture, with a proof."""

    token: str = Field(max_length=64, json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"})


ANSWERS: responses.Success = {
    200: {"description": "The picture", "content": {"image/*": {"schema": BINARY}}},
    302: {"description": "The picture is at the link in `Location`, which is good for a while"},
    304: None,
}


@blueprint.get("/<token>", **responses.describe(None, ANSWERS, 404, 410))
@needs(None)
def get_public_picture(path: TokenPath) -> Response:
    """See a picture by its public link; no key is needed."""
    context = services()
    token = Token.parse(path.token)
    with context.database.reading() as session:
        line = _find(session, token) if token is not None else None
    if line is None:
        raise _refuse("not_found", "The link is not valid, or no longer.")
    file = line.file
    if file is None and line.status is LineStatus.ERASED:
        raise _refuse("object_missing", "The picture was erased.")
    if file is None:
        raise _refuse("image_not_readable", f"There is no picture to see: it is {line.status}.")
    response = _answer(file, line)
    response.headers.update(PRIVATE)
    return response


def _answer(file: File, line: Line) -> Response:
    context = services()
    name = f"picture-{line.index}{PurePosixPath(file.key).suffix}"
    if context.links is not None:
        response = answer_file(context.storage, Linked(file.key, file.content_type, name))
        response.headers["Content-Disposition"] = "inline"
        return response
    seconds = context.settings.link_seconds
    location = context.storage.sign(file.key, content_type=file.content_type, filename=name, seconds=seconds)
    return Response(status=302, headers={"Location": location})


def _find(session: Session, token: Token) -> Line | None:
    """Return what a genuine token is about; None for any other."""
    recipient = session.get(Recipient, token.recipient_pk)
    campaign = session.get(Campaign, recipient.campaign_id) if recipient is not None else None
    if campaign is None or campaign.deleted_at is not None:
        return None
    context = services()
    if not PublicLinks(context.settings.read_secret(), context.settings.base_url).holds(campaign, token):
        return None
    return lines.find_line(session, campaign, token.recipient_pk, token.index)


def _refuse(code: str, detail: str) -> RefusedError:
    return RefusedError(code, detail, headers=PRIVATE)
