"""``/files``: what a signed link leads to, where images are kept as files; the link itself is the permission."""

import hashlib

from flask import Response, request
from pydantic import Field

from api.auth.bearer import needs
from api.images.schemas import BINARY
from api.runtime.context import services
from api.web import responses
from api.web.errors import RefusedError
from api.web.validation import Path
from common.storage.links import Linked, content_disposition
from common.storage.port import Storage

blueprint = responses.create_blueprint(
    "files", "Links to images; given out only where images are kept as files.", "/files"
)

HARMLESS = "default-src 'none'; sandbox"
CACHE_SECONDS = 300


class FilePath(Path):
    """Names a file, signed."""

    token: str = Field(json_schema_extra={"pattern": "^[A-Za-z0-9._-]+$"})


@blueprint.get(
    "/<token>",
    **responses.describe(
        None, {200: {"description": "The file", "content": {"image/*": {"schema": BINARY}}}, 304: None}, 404, 410
    ),
)
@needs(None)
def get_file(path: FilePath) -> Response:
    """Fetch an image by its link."""
    context = services()
    linked = context.links.read(path.token) if context.links is not None else None
    if linked is None:
        raise RefusedError("not_found", "The link is not valid, or no longer.")
    return answer_file(context.storage, linked)


def answer_file(storage: Storage, linked: Linked) -> Response:
    """Return a stored file, under headers that let nothing in it run."""
    data = storage.get(linked.key)
    response = Response(data, content_type=linked.content_type)
    response.headers["Content-Disposition"] = content_disposition(linked.filename)
    response.headers["Content-Security-Policy"] = HARMLESS
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = f"private, max-age={CACHE_SECONDS}"
    response.set_etag(hashlib.sha256(data).hexdigest())
    response.make_conditional(request)
    return response
