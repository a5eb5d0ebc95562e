"""``/v1/assets``: hand in pictures for jobs to start from, look at them, delete them."""

from flask import Response, request

from api.auth.bearer import caller, needs
from api.images import serializers
from api.images.asset_schemas import NEW_ASSET, Asset, AssetList, AssetPath, AssetQuery
from api.images.uploads import receive
from api.runtime.context import services
from api.web import responses
from api.web.errors import RefusedError
from api.web.validation import not_found
from common.errors import StorageError
from common.images import assets
from common.keys import Scope
from common.logs import get_logger

blueprint = responses.create_blueprint("assets", "Pictures for jobs to start from.", "/v1/assets")

KEPT = {201: responses.describe_success(Asset, "The picture is kept", {"Location": "Where to look at the asset."})}

logger = get_logger(__name__)


@blueprint.post("", request_body=NEW_ASSET, **responses.describe(Scope.JOBS_WRITE, KEPT, 400, 408, 413, 415, 422, 429))
@needs(Scope.JOBS_WRITE)
def create_asset() -> Response:
    """Hand in a picture: one PNG, JPEG or WebP file, of which nothing but the pixels is kept."""
    context, owner = services(), caller().owner
    settings = context.settings
    file = receive(request, settings.max_asset_bytes)
    days = caller().kept.asset_days or settings.asset_days
    row = assets.add(context.database, context.storage, owner, file, days=days, most=settings.max_assets)
    location = {"Location": f"{context.path_prefix}/v1/assets/{row.id}"}
    return responses.answer(serializers.show_asset(row), 201, location)


@blueprint.get("", **responses.describe(Scope.JOBS_READ, {200: AssetList}, 400, 422))
@needs(Scope.JOBS_READ)
def list_assets(query: AssetQuery) -> Response:
    """List assets, the newest first."""
    context, owner = services(), caller().owner
    book = f"{owner}/assets"  # a cursor of the list of jobs is none of this one
    after = None
    if query.cursor is not None and (after := context.cursors.read(book, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the `next` of a page of this list, unchanged.")
    with context.database.reading() as session:
        rows = assets.list_page(session, owner, after=after, limit=query.limit + 1)
    page, has_more = rows[: query.limit], len(rows) > query.limit
    following = context.cursors.write(book, page[-1].id) if has_more else None
    shown = [serializers.show_asset(row) for row in page]
    return responses.answer(AssetList(data=shown, has_more=has_more, next=following))


@blueprint.get("/<asset_id>", **responses.describe(Scope.JOBS_READ, {200: Asset}, 404))
@needs(Scope.JOBS_READ)
def get_asset(path: AssetPath) -> Response:
    """Look at an asset."""
    with services().database.reading() as session:
        row = assets.find(session, caller().owner, path.asset_id)
    if row is None:
        raise not_found()
    return responses.answer(serializers.show_asset(row))


@blueprint.delete("/<asset_id>", **responses.describe(Scope.JOBS_WRITE, {204: None}, 404, 409))
@needs(Scope.JOBS_WRITE)
def delete_asset(path: AssetPath) -> Response:
    """Delete an asset, unless a job that has not ended names it."""
    context = services()
    with context.database.transaction() as session:
        row = assets.find(session, caller().owner, path.asset_id)
        if row is None:
            raise not_found()
        assets.give_up(session, row)
    try:
        assets.erase(context.database, context.storage, row)
    except StorageError as error:
        # It is gone for everyone already; the clerk deletes what is left.
        logger.warning("asset not erased", asset_id=str(row.id), reason=error.code)
    return Response(status=204)
