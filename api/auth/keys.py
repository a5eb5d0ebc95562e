"""``/v1/keys``: make further keys of the same owner, see when they were used, revoke them."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import AwareDatetime, Field, StringConstraints
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.runtime.context import services
from api.web import responses
from api.web.errors import refuse
from api.web.output import Output, Time
from api.web.problems import Fault
from api.web.validation import Body, Path, not_found
from common import keys
from common.clock import utcnow
from common.keys import NAME, Scope
from common.tables import ApiKey

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


blueprint = responses.create_blueprint("keys", "Keys of the same owner.", "/v1/keys")

MADE = {201: responses.describe_success(Key, "The key was made", {"Location": "Where to look at the key."})}


@blueprint.post("", **responses.describe(Scope.KEYS_ADMIN, MADE, 400, 408, 413, 415, 422))
@needs(Scope.KEYS_ADMIN)
def create_key(body: NewKey) -> Response:
    """Make a key; it is in the answer, and is not shown again."""
    context = services()
    with context.database.transaction() as session:
        row, key = make(session, caller().owner, caller().scopes, body)
    location = {"Location": f"{context.path_prefix}/v1/keys/{row.prefix}"}
    return responses.answer(show_key(row, key), 201, location)


@blueprint.get("", **responses.describe(Scope.KEYS_ADMIN, {200: KeyList}))
@needs(Scope.KEYS_ADMIN)
def list_keys() -> Response:
    """List all keys, the newest first."""
    with services().database.reading() as session:
        rows = keys.list_owned(session, caller().owner)
    return responses.answer(KeyList(data=[show_key(row) for row in rows]))


@blueprint.get("/<key_id>", **responses.describe(Scope.KEYS_ADMIN, {200: Key}, 404))
@needs(Scope.KEYS_ADMIN)
def get_key(path: KeyPath) -> Response:
    """Look at a key."""
    with services().database.reading() as session:
        row = find(session, caller().owner, path.key_id)
    return responses.answer(show_key(row))


@blueprint.delete("/<key_id>", **responses.describe(Scope.KEYS_ADMIN, {204: None}, 404))
@needs(Scope.KEYS_ADMIN)
def revoke_key(path: KeyPath) -> Response:
    """Revoke a key, within a second everywhere; it stays in the list. Revoking it again changes nothing."""
    with services().database.transaction() as session:
        keys.revoke(session, find(session, caller().owner, path.key_id).prefix)
    services().keyring.forget()
    return Response(status=204)


def make(session: Session, owner: str, own: Collection[str], wish: NewKey) -> tuple[ApiKey, str]:
    """Make a key of *owner* as somebody may who has the scopes *own*; raise RefusedError for a wish for more."""
    wanted = [scope for scope in own if scope != Scope.KEYS_ADMIN] if wish.scopes is None else wish.scopes
    faults = [
        Fault(code="scope_not_held", detail=f"cannot be given by a key that lacks {scope}", pointer=f"/scopes/{place}")
        for place, scope in enumerate(wanted)
        if scope not in own
    ]
    if wish.expires_at is not None and wish.expires_at <= utcnow():
        faults.append(Fault(code="out_of_range", detail="must lie in the future", pointer="/expires_at"))
    own_end = caller().expires_at
    if own_end is not None and wish.expires_at is not None and wish.expires_at > own_end:
        detail = f"must not be later than {own_end.isoformat()}, when the key that makes it expires"
        faults.append(Fault(code="out_of_range", detail=detail, pointer="/expires_at"))
    if faults:
        raise refuse(faults)
    scopes = [*map(Scope, dict.fromkeys(wanted))]
    # What its maker is held to, it is too.
    ends = wish.expires_at or own_end
    key = keys.create(session, wish.name, owner, scopes, ends, caller().kept, caller().safety)
    return find(session, owner, key.split("_")[1]), key


def find(session: Session, owner: str, key_id: str) -> ApiKey:
    """Return a key of *owner*; raise RefusedError with ``not_found``."""
    row = keys.find_owned(session, owner, key_id)
    if row is None:
        raise not_found()
    return row


def show_key(row: ApiKey, key: str | None = None) -> Key:
    """Return what is shown of a key; the key itself only to whoever has just made it."""
    return Key(
        id=row.prefix,
        name=row.name,
        scopes=row.scopes,
        key=key,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
