"""The JSON of API keys: what one is called and may do; the key itself is shown once."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from api.inputs import Body, Path
from api.schemas.outputs import Output, Time
from common.keys import NAME, Scope

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
Scopes = Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=len(Scope))]
FORM: dict[str, Any] = {"pattern": r"^[A-Za-z0-9]{8}$"}


class NewKey(Body):
    """A key to be made, for the same owner as the one that asks."""

    name: Name = Field(description="What it is called.", examples=["shop"])
    scopes: Scopes | None = Field(
        None,
        description="What it may do; none that the key lacks which asks. By default all that it has but `keys:admin`.",
    )
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        None, description="When it ends by itself; by default never."
    )


class KeyPath(Path):
    """Names a key by its id: the eight characters after `prk_`."""

    key_id: str = Field(json_schema_extra=FORM)


class Key(Output):
    """An API key; what opens is not kept."""

    id: str
    object: Literal["key"] = "key"
    name: str
    scopes: list[str]
    key: str | None = Field(description="Shown once, when it is made; null else.")
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None = Field(description="To the minute.")
    revoked_at: Time | None


class KeyList(Output):
    """All keys of an owner, the newest first, revoked ones included."""

    object: Literal["list"] = "list"
    data: list[Key]
