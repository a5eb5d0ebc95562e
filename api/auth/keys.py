"""``/v1/keys``: create, list and revoke API keys of the same owner."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import AwareDatetime, Field, StringConstraints
from sqlalchemy.orm import Session

from api.auth.bearer import current_caller, scope_required
from api.runtime.context import current_context
from api.runtime.owner_limits import require_room
from api.web import responses
from api.web.errors import refuse_request
from api.web.output import Output, Time
from api.web.problems import FieldError
from api.web.validation import Body, Path, refuse_not_found
from common.access import keys
from common.access.keys import KEY_NAME_PATTERN, Scope
from common.clock import utcnow
from common.tables import ApiKey

Name = Annotated[str, StringConstraints(pattern=rf"^{KEY_NAME_PATTERN.pattern}$")]
Scopes = Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=len(Scope))]
KEY_ID_SCHEMA: dict[str, Any] = {"pattern": r"^[A-Za-z0-9]{8}$"}


class NewKey(Body):
    """The parameters of a new API key for the caller's owner."""

    name: Name = Field(description="Name of the API key.", examples=["shop"])
    scopes: Scopes | None = Field(
        None,
        description="Scopes to grant; the calling key must have each of them. Defaults to all of its scopes except"
        " `keys:admin`.",
    )
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        None, description="Expiry time. By default the key does not expire."
    )


class KeyPath(Path):
    """The ID of an API key: the eight characters after `prk_`."""

    key_id: str = Field(json_schema_extra=KEY_ID_SCHEMA)


class Key(Output):
    """An API key. The secret itself is not stored."""

    id: str
    object: Literal["key"] = "key"
    name: str
    scopes: list[str]
    key: str | None = Field(description="The secret key, returned only when the key is created; null otherwise.")
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None = Field(description="Time of the last use, accurate to one minute.")
    revoked_at: Time | None


class KeyList(Output):
    """All API keys of an owner, newest first, including revoked keys."""

    object: Literal["list"] = "list"
    data: list[Key]


blueprint = responses.create_blueprint("keys", "API keys of the caller's owner.", "/v1/keys")

CREATED = {201: responses.describe_success(Key, "The API key was created", {"Location": "URL of the key."})}


@blueprint.post("", **responses.describe_route(Scope.KEYS_ADMIN, CREATED, 400, 408, 413, 415, 422))
@scope_required(Scope.KEYS_ADMIN)
def create_key(body: NewKey) -> Response:
    """Create an API key. The secret is returned only once, in this response."""
    context = current_context()
    with context.database.transaction() as session:
        row, key = issue_key(session, current_caller().owner, current_caller().scopes, body)
    location = {"Location": f"{context.path_prefix}/v1/keys/{row.prefix}"}
    return responses.respond_json(serialize_key(row, key), 201, location)


@blueprint.get("", **responses.describe_route(Scope.KEYS_ADMIN, {200: KeyList}))
@scope_required(Scope.KEYS_ADMIN)
def list_keys() -> Response:
    """List all API keys, newest first."""
    with current_context().database.reading() as session:
        rows = keys.list_owned_api_keys(session, current_caller().owner)
    return responses.respond_json(KeyList(data=[serialize_key(row) for row in rows]))


@blueprint.get("/<key_id>", **responses.describe_route(Scope.KEYS_ADMIN, {200: Key}, 404))
@scope_required(Scope.KEYS_ADMIN)
def get_key(path: KeyPath) -> Response:
    """Get an API key."""
    with current_context().database.reading() as session:
        row = load_key(session, current_caller().owner, path.key_id)
    return responses.respond_json(serialize_key(row))


@blueprint.delete("/<key_id>", **responses.describe_route(Scope.KEYS_ADMIN, {204: None}, 404))
@scope_required(Scope.KEYS_ADMIN)
def revoke_key(path: KeyPath) -> Response:
    """Revoke an API key. It takes effect within a second and the key stays in the list. The call is idempotent."""
    with current_context().database.transaction() as session:
        revoke_owned_key(session, path.key_id)
    current_context().keys.forget()
    return Response(status=204)


def issue_key(session: Session, owner: str, own: Collection[str], body: NewKey) -> tuple[ApiKey, str]:
    """Create a key of *owner* with at most the scopes *own*; raise RefusedError if more is requested."""
    wanted = [scope for scope in own if scope != Scope.KEYS_ADMIN] if body.scopes is None else body.scopes
    faults = [
        FieldError(
            code="scope_not_held",
            detail=f"cannot be granted by an API key without the scope {scope}",
            pointer=f"/scopes/{place}",
        )
        for place, scope in enumerate(wanted)
        if scope not in own
    ]
    if body.expires_at is not None and body.expires_at <= utcnow():
        faults.append(FieldError(code="out_of_range", detail="must be in the future", pointer="/expires_at"))
    own_end = current_caller().expires_at
    if own_end is not None and body.expires_at is not None and body.expires_at > own_end:
        detail = f"must not be later than {own_end.isoformat()}, the expiry of the API key used"
        faults.append(FieldError(code="out_of_range", detail=detail, pointer="/expires_at"))
    if faults:
        raise refuse_request(faults)
    require_room(
        session,
        owner,
        keys.select_live_api_key_ids(owner),
        current_context().settings.max_keys,
        "too_many_api_keys",
        "Revoke an API key first.",
    )
    scopes = [*map(Scope, dict.fromkeys(wanted))]
    # The new key inherits the restrictions of the key that creates it.
    ends = body.expires_at or own_end
    caller = current_caller()
    key = keys.create_api_key(session, body.name, owner, scopes, ends, caller.kept, caller.safety, caller)
    return load_key(session, owner, key.split("_")[1]), key


def revoke_owned_key(session: Session, key_id: str) -> bool:
    """Revoke an API key of the caller's owner; return False if it was before; raise RefusedError with ``not_found``."""
    caller = current_caller()
    return keys.revoke_api_key(session, load_key(session, caller.owner, key_id).prefix, caller)


def load_key(session: Session, owner: str, key_id: str) -> ApiKey:
    """Return an API key of *owner*; raise RefusedError with ``not_found``."""
    row = keys.find_owned_api_key(session, owner, key_id)
    if row is None:
        raise refuse_not_found()
    return row


def serialize_key(row: ApiKey, key: str | None = None) -> Key:
    """Return the representation of an API key; *key*, the secret, is included only on creation."""
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
