"""JSON schemas of assets."""

from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.images.schemas import BINARY
from api.web.output import Output, Time
from api.web.validation import Id, Parsed, Path, Query
from common.states.jobs import Verdict


class AssetChange(StrEnum):
    """A change that an upload went through on its way to an asset."""

    SCALED_DOWN = "scaled_down"
    CONVERTED_TO_SRGB = "converted_to_srgb"
    TURNED_UPRIGHT = "turned_upright"
    LAID_ON_WHITE = "laid_on_white"


class AssetOriginal(Output):
    """The file that was uploaded."""

    format: str = Field(description="PNG, JPEG, WEBP, HEIC or AVIF.")
    width: int = Field(description="Width of the upright image, before it was scaled down.")
    height: int
    changes: list[AssetChange] = Field(
        description="`scaled_down`: to at most 4096 pixels a side, because it had more than 16.8 million;"
        " `converted_to_srgb`: from the colour profile in the file; `turned_upright`: by the orientation in its EXIF"
        " data; `laid_on_white`: where it is transparent. In a mask, transparent areas are kept."
    )


class Asset(Output):
    """An uploaded image that jobs can start from."""

    id: UUID
    object: Literal["asset"] = "asset"
    width: int
    height: int
    content_type: str
    bytes: int
    sha256: str
    original: AssetOriginal | None = Field(description="Null for assets from before this was recorded.")
    verdict: Verdict | None = Field(
        description="Verdict of the safety check; null until the first job that uses the asset runs."
    )
    created_at: Time
    expires_at: Time = Field(description="When the asset is deleted, unless an unfinished job uses it.")


class AssetList(Output):
    """A page of assets, newest first."""

    object: Literal["list"] = "list"
    data: list[Asset]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class AssetPath(Path):
    """The ID of an asset."""

    asset_id: Id


class AssetQuery(Query):
    """The paging parameters of a list of assets."""

    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of assets per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


NEW_ASSET: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "A form with a single file.",
                "properties": {
                    "file": BINARY
                    | {"description": "An image in PNG, JPEG, WebP, HEIC or AVIF format, of at most 50 megapixels."}
                },
                "required": ["file"],
                "additionalProperties": False,
            }
        }
    },
}
