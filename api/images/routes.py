"""``/v1/images``: list, get, download and erase images."""

from functools import partial

from flask import Response

from api.auth.bearer import current_caller, scope_required
from api.images import queries, serializers
from api.images.erasure import erase_image
from api.images.files import respond_file
from api.images.schemas import BINARY, ContentQuery, Image, ImageList, ImagePath, ImageQuery
from api.runtime.context import current_context
from api.web import responses
from api.web.errors import RefusedError
from api.web.file_routes import sends_files
from common.access.keys import Scope
from common.images import search
from common.images.search import ImageFilter
from common.images.served_files import find_published_file

blueprint = responses.create_blueprint("images", "The images of jobs.", "/v1/images")

CONTENT: responses.Success = {
    200: {
        "description": "The file",
        "content": {f"image/{kind}": {"schema": BINARY} for kind in ("png", "jpeg", "webp")},
    },
    302: {"description": "Redirect to a link that requires no API key"},
    304: None,
}


@blueprint.get("", **responses.describe_route(Scope.JOBS_READ, {200: ImageList}, 400, 422))
@scope_required(Scope.JOBS_READ)
def list_images(query: ImageQuery) -> Response:
    """List images of all jobs, newest first."""
    context, owner = current_context(), current_caller().owner
    wanted = ImageFilter(**query.model_dump(exclude={"limit", "cursor"}))
    with context.database.reading() as session:
        page = context.cursors.found(f"{owner}/images", query, partial(search.list_images, session, owner, wanted))
    shown = [serializers.serialize_image(image, context) for image, _ in page.rows]
    return responses.respond_json(ImageList(data=shown, has_more=page.has_more, next=page.next))


@blueprint.get("/<image_id>", **responses.describe_route(Scope.JOBS_READ, {200: Image}, 404))
@scope_required(Scope.JOBS_READ)
def get_image(path: ImagePath) -> Response:
    """Get an image."""
    context = current_context()
    with context.database.reading() as session:
        row = queries.load_image(session, current_caller().owner, path.image_id)
    return responses.respond_json(serializers.serialize_image(row, context))


@blueprint.get("/<image_id>/content", **responses.describe_route(Scope.JOBS_READ, CONTENT, 404, 410, 422))
@scope_required(Scope.JOBS_READ)
@sends_files
def get_image_content(path: ImagePath, query: ContentQuery) -> Response:
    """Download an image or its thumbnail."""
    context = current_context()
    with context.database.reading() as session:
        row = queries.load_image(session, current_caller().owner, path.image_id)
    wanted = find_published_file(row, thumbnail=query.variant == "thumbnail")
    if wanted is None:
        raise RefusedError("image_not_readable", f"The image is {row.status} and has no file to download.")
    if context.links is not None:
        return respond_file(wanted)
    return Response(status=302, headers={"Location": context.files.sign_link(wanted, context.settings.link_seconds)})


@blueprint.delete("/<image_id>", **responses.describe_route(Scope.JOBS_WRITE, {204: None}, 404, 409))
@scope_required(Scope.JOBS_WRITE)
def delete_image(path: ImagePath) -> Response:
    """Permanently erase an image and its thumbnail. Its cost stays on record. The call is idempotent."""
    erase_image(path.image_id)
    return Response(status=204)
