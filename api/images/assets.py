"""``/v1/assets``: upload, list, get and delete images that jobs can start from."""

from functools import partial

from flask import Response, request

from api.auth.bearer import current_caller, scope_required
from api.images import serializers
from api.images.asset_schemas import NEW_ASSET, Asset, AssetList, AssetPath, AssetQuery
from api.images.uploads import PICTURE_UPLOAD, receive_picture
from api.runtime.context import current_context
from api.runtime.uploads import takes_upload
from api.web import responses
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.errors import StorageError
from common.images import assets
from common.logs import get_logger

blueprint = responses.create_blueprint("assets", "Uploaded images that jobs can start from.", "/v1/assets")

CREATED = {201: responses.describe_success(Asset, "The asset was created", {"Location": "URL of the asset."})}

log = get_logger(__name__)


@blueprint.post(
    "", request_body=NEW_ASSET, **responses.describe_route(Scope.JOBS_WRITE, CREATED, 400, 408, 413, 415, 422, 429)
)
@scope_required(Scope.JOBS_WRITE)
@takes_upload(PICTURE_UPLOAD)
def create_asset() -> Response:
    """Upload a PNG, JPEG, WebP, HEIC or AVIF image. Only its pixels are kept, in sRGB."""
    context, owner = current_context(), current_caller().owner
    settings = context.settings
    file = receive_picture(request, settings.max_asset_bytes)
    days = current_caller().kept.asset_days or settings.asset_days
    row = assets.create_asset(context.database, context.storage, owner, file, days=days, most=settings.max_assets)
    location = {"Location": f"{context.path_prefix}/v1/assets/{row.id}"}
    return responses.respond_json(serializers.serialize_asset(row), 201, location)


@blueprint.get("", **responses.describe_route(Scope.JOBS_READ, {200: AssetList}, 400, 422))
@scope_required(Scope.JOBS_READ)
def list_assets(query: AssetQuery) -> Response:
    """List assets, newest first."""
    context, owner = current_context(), current_caller().owner
    book = f"{owner}/assets"  # cursors of other lists are not valid here
    with context.database.reading() as session:
        page = context.cursors.paged(book, query, partial(assets.list_assets, session, owner))
    shown = [serializers.serialize_asset(row) for row in page.rows]
    return responses.respond_json(AssetList(data=shown, has_more=page.has_more, next=page.next))


@blueprint.get("/<asset_id>", **responses.describe_route(Scope.JOBS_READ, {200: Asset}, 404))
@scope_required(Scope.JOBS_READ)
def get_asset(path: AssetPath) -> Response:
    """Get an asset."""
    with current_context().database.reading() as session:
        row = assets.find_asset(session, current_caller().owner, path.asset_id)
    if row is None:
        raise refuse_not_found()
    return responses.respond_json(serializers.serialize_asset(row))


@blueprint.delete("/<asset_id>", **responses.describe_route(Scope.JOBS_WRITE, {204: None}, 404, 409))
@scope_required(Scope.JOBS_WRITE)
def delete_asset(path: AssetPath) -> Response:
    """Delete an asset that is not in use by an unfinished job."""
    context = current_context()
    with context.database.transaction() as session:
        row = assets.find_asset(session, current_caller().owner, path.asset_id)
        if row is None:
            raise refuse_not_found()
        assets.delete_asset(session, row)
    try:
        assets.erase_assets(context.database, context.storage, [row])
    except StorageError as error:
        # The asset is hidden already; the clerk deletes the files later.
        log.warning("asset_not_erased", asset_id=str(row.id), reason=error.code)
    return Response(status=204)
