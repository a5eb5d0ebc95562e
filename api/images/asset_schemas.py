"""The JSON of assets."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.images.schemas import BINARY
from api.web.output import Output, Time
from api.web.validation import Id, Parsed, Path, Query
from common.tables.states import Verdict


class Asset(Output):
    """A picture that was handed in for jobs to start from, as it is kept."""

    id: UUID
    object: Literal["asset"] = "asset"
    width: int
    height: int
    content_type: str
    bytes: int
    sha256: str
    verdict: Verdict | None = Field(
        description="What the safety check said of it; null until the first job that names it runs."
    )
    created_at: Time
    expires_at: Time = Field(description="When it is deleted, unless a job that has not ended names it.")


class AssetList(Output):
    """A page of assets, the newest first."""

    object: Literal["list"] = "list"
    data: list[Asset]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")


class AssetPath(Path):
    """Names an asset."""

    asset_id: Id


class AssetQuery(Query):
    """Which assets to list."""

    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Assets a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


NEW_ASSET: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "A form with one file.",
                "properties": {"file": BINARY | {"description": "A picture as PNG, JPEG or WebP."}},
                "required": ["file"],
                "additionalProperties": False,
            }
        }
    },
}
