"""``/files``: serve images by signed link when they are stored as files; the link is the permission."""

import hashlib

from flask import Response, request
from pydantic import Field

from api.auth.bearer import scope_required
from api.images.schemas import BINARY
from api.runtime.context import current_context
from api.web import responses
from api.web.errors import RefusedError
from api.web.file_routes import sends_files
from api.web.validation import Path
from common.images.served_files import PublishedFile, find_file_by_key
from common.storage.links import format_content_disposition

blueprint = responses.create_blueprint(
    "files", "Signed links to images, used when images are stored as files.", "/files"
)

SANDBOX_POLICY = "default-src 'none'; sandbox"
CACHE_SECONDS = 300


class FilePath(Path):
    """The token of a link to a file."""

    token: str = Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"})


@blueprint.get(
    "/<token>",
    **responses.describe_route(
        None, {200: {"description": "The file", "content": {"image/*": {"schema": BINARY}}}, 304: None}, 404, 410
    ),
)
@scope_required(None)
@sends_files
def get_file(path: FilePath) -> Response:
    """Download an image by its signed link."""
    context = current_context()
    linked = context.links.read(path.token) if context.links is not None else None
    if linked is None:
        raise RefusedError("not_found", "The link is not valid or has expired.")
    with context.database.reading() as session:
        file = find_file_by_key(session, linked.key)
    if file is None:
        raise RefusedError("object_missing", "The image was erased.")
    return respond_file(file, linked.filename)


def respond_file(file: PublishedFile, filename: str | None = None) -> Response:
    """Return a published file with headers that keep its content from being executed."""
    data = current_context().files.read_image(file)
    response = Response(data, content_type=file.content_type)
    response.headers["Content-Disposition"] = format_content_disposition(filename or file.filename)
    response.headers["Content-Security-Policy"] = SANDBOX_POLICY
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = f"private, max-age={CACHE_SECONDS}"
    response.set_etag(hashlib.sha256(data).hexdigest())
    response.make_conditional(request)
    return response
