"""Convert images and assets to their JSON representation."""

from datetime import datetime, timedelta

from api.images import asset_schemas, schemas as image_schemas
from api.runtime.context import AppContext
from common.clock import utcnow
from common.images.assets import CONTENT_TYPE
from common.images.served_files import find_published_file
from common.tables import Asset, Image


def serialize_image(row: Image, context: AppContext) -> image_schemas.Image:
    """Return the representation of an image, with fresh links if it was published."""
    url, thumbnail_url = _link_image(row, context), _link_image(row, context, thumbnail=True)
    return image_schemas.Image(
        id=row.id,
        job_id=row.job_id,
        index=row.position,
        status=row.status,
        url=url,
        thumbnail_url=thumbnail_url,
        url_expires_at=_compute_expiry(context) if url else None,
        seed=row.seed,
        width=row.width,
        height=row.height,
        content_type=row.content_type,
        bytes=row.bytes,
        sha256=row.sha256,
        signed=row.signed,
        safety=serialize_safety(row),
        colours=[image_schemas.Colour(**colour) for colour in row.colours or ()],
        palette_score=row.palette_score,
        prompt_tokens=None if row.prompt_tokens is None else image_schemas.PromptTokens(**row.prompt_tokens),
        cost=image_schemas.Cost(gpu_seconds=row.gpu_seconds, amount=row.amount, currency=row.currency),
        created_at=row.created_at,
    )


def serialize_prompt_tokens(model: str, prompt: str, context: AppContext) -> image_schemas.PromptTokens | None:
    """Return how much of a prompt *model* will read; None if that is not known."""
    counted = context.prompt_counter.count(model, prompt)
    return None if counted is None else image_schemas.PromptTokens(read=counted.read, dropped=counted.dropped)


def serialize_safety(row: Image) -> image_schemas.Safety:
    """Return the representation of an image's safety result."""
    return image_schemas.Safety(
        mode=row.safety_mode,
        verdict=row.verdict,
        scores=row.safety.get("scores", {}),
        reason=row.safety.get("reason"),
        policy=image_schemas.Policy(
            version=row.safety.get("policy"),
            checker=row.safety.get("checker"),
            digest=row.safety.get("digest"),
            thresholds=row.safety.get("thresholds", {}),
        ),
        is_fallback=row.is_fallback,
        released_at=row.released_at,
    )


def serialize_asset(row: Asset) -> asset_schemas.Asset:
    """Return the representation of an asset."""
    return asset_schemas.Asset(
        id=row.id,
        width=row.width,
        height=row.height,
        content_type=CONTENT_TYPE,
        bytes=row.bytes,
        sha256=row.sha256,
        original=None if row.original is None else asset_schemas.AssetOriginal(**row.original),
        verdict=row.verdict,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _link_image(row: Image, context: AppContext, *, thumbnail: bool = False) -> str | None:
    file = find_published_file(row, thumbnail=thumbnail)
    return None if file is None else context.files.sign_link(file, context.settings.link_seconds)


def _compute_expiry(context: AppContext) -> datetime:
    return (utcnow() + timedelta(seconds=context.settings.link_seconds)).replace(microsecond=0)
