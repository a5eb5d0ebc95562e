"""``/v1/images``: list images, look at one, fetch its bytes, erase it."""

from uuid import UUID

from flask import Response

from api.auth.bearer import caller, needs
from api.images import queries, serializers
from api.images.files import answer_file
from api.images.schemas import BINARY, ContentQuery, Image, ImageList, ImagePath, ImageQuery
from api.runtime.context import services
from api.web import responses
from api.web.errors import RefusedError
from common.errors import StorageError
from common.images import erasure, search
from common.images.search import Wanted
from common.keys import Scope
from common.logs import get_logger
from common.tables.states import ImageStatus

blueprint = responses.create_blueprint("images", "The prints of a job.", "/v1/images")

logger = get_logger(__name__)

CONTENT: responses.Success = {
    200: {
        "description": "The file",
        "content": {f"image/{kind}": {"schema": BINARY} for kind in ("png", "jpeg", "webp")},
    },
    302: {"description": "The file is at the link in `Location`, which needs no key"},
    304: None,
}


@blueprint.get("", **responses.describe(Scope.JOBS_READ, {200: ImageList}, 400, 422))
@needs(Scope.JOBS_READ)
def list_images(query: ImageQuery) -> Response:
    """List images of all jobs, the newest first."""
    context, owner = services(), caller().owner
    book, after = f"{owner}/images", None
    if query.cursor is not None and (after := context.cursors.read(book, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the `next` of a page of this list, unchanged.")
    wanted = Wanted(**query.model_dump(exclude={"limit", "cursor"}))
    with context.database.reading() as session:
        rows = search.list_page(session, owner, wanted, after=after, limit=query.limit + 1)
    page, has_more = [image for image, _ in rows[: query.limit]], len(rows) > query.limit
    following = context.cursors.write(book, page[-1].id) if has_more else None
    shown = [serializers.show_image(image, context) for image in page]
    return responses.answer(ImageList(data=shown, has_more=has_more, next=following))


@blueprint.get("/<image_id>", **responses.describe(Scope.JOBS_READ, {200: Image}, 404))
@needs(Scope.JOBS_READ)
def get_image(path: ImagePath) -> Response:
    """Look at an image."""
    context = services()
    with context.database.reading() as session:
        row = queries.find_image(session, caller().owner, path.image_id)
    return responses.answer(serializers.show_image(row, context))


@blueprint.get("/<image_id>/content", **responses.describe(Scope.JOBS_READ, CONTENT, 404, 410, 422))
@needs(Scope.JOBS_READ)
def get_image_content(path: ImagePath, query: ContentQuery) -> Response:
    """Fetch an image or its thumbnail."""
    context = services()
    with context.database.reading() as session:
        row = queries.find_image(session, caller().owner, path.image_id)
    wanted = serializers.file_of(row, thumbnail=query.variant == "thumbnail")
    if wanted is None:
        raise RefusedError("image_not_readable", f"The image is {row.status}; there is no file of it to read.")
    if context.links is not None:
        return answer_file(context.storage, wanted)
    return Response(status=302, headers={"Location": serializers.sign(wanted, context)})


@blueprint.delete("/<image_id>", **responses.describe(Scope.JOBS_WRITE, {204: None}, 404, 409))
@needs(Scope.JOBS_WRITE)
def delete_image(path: ImagePath) -> Response:
    """Erase an image and its thumbnail for good; what it cost stays. Erasing it again changes nothing."""
    erase(path.image_id)
    return Response(status=204)


def erase(image_id: UUID) -> None:
    """Erase an image of the caller's; raise RefusedError or IllegalTransitionError for one that is not to be erased."""
    context = services()
    with context.database.transaction() as session:
        row = queries.find_image(session, caller().owner, image_id)
        erasure.erase_image(session, row)
    if row.status is ImageStatus.ERASED:
        try:
            erasure.drop_objects(context.database, context.storage, row)
        except StorageError as error:
            # No link is given out any more; the clerk deletes what is left.
            logger.warning("image not erased", image_id=str(row.id), reason=error.code)
