"""JSON schemas of assets."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.images.schemas import BINARY
from api.web.output import Output, Time
from api.web.validation import Id, Parsed, Path, Query
from common.states.jobs import Verdict


class Asset(Output):
    """An uploaded image that jobs can start from."""

    id: UUID
    object: Literal["asset"] = "asset"
    width: int
    height: int
    content_type: str
    bytes: int
    sha256: str
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
                "properties": {"file": BINARY | {"description": "An image in PNG, JPEG or WebP format."}},
                "required": ["file"],
                "additionalProperties": False,
            }
        }
    },
}
