"""``/v1/keys``: make further keys of the same owner, see when they were used, revoke them."""

from collections.abc import Collection

from flask import Response
from sqlalchemy.orm import Session

from api import operations
from api.auth import caller, needs
from api.context import services
from api.errors import refuse
from api.inputs import not_found
from api.schemas.keys import Key, KeyList, KeyPath, NewKey
from api.schemas.problems import Fault
from common import keys
from common.clock import utcnow
from common.keys import Scope
from common.tables import ApiKey

blueprint = operations.create_blueprint("keys", "Keys of the same owner.", "/v1/keys")

MADE = {201: operations.describe_success(Key, "The key was made", {"Location": "Where to look at the key."})}


@blueprint.post("", **operations.describe(Scope.KEYS_ADMIN, MADE, 400, 408, 413, 415, 422))
@needs(Scope.KEYS_ADMIN)
def create_key(body: NewKey) -> Response:
    """Make a key; it is in the answer, and is not shown again."""
    context = services()
    with context.database.transaction() as session:
        row, key = make(session, caller().owner, caller().scopes, body)
    location = {"Location": f"{context.path_prefix}/v1/keys/{row.prefix}"}
    return operations.answer(show_key(row, key), 201, location)


@blueprint.get("", **operations.describe(Scope.KEYS_ADMIN, {200: KeyList}))
@needs(Scope.KEYS_ADMIN)
def list_keys() -> Response:
    """List all keys, the newest first."""
    with services().database.reading() as session:
        rows = keys.list_owned(session, caller().owner)
    return operations.answer(KeyList(data=[show_key(row) for row in rows]))


@blueprint.get("/<key_id>", **operations.describe(Scope.KEYS_ADMIN, {200: Key}, 404))
@needs(Scope.KEYS_ADMIN)
def get_key(path: KeyPath) -> Response:
    """Look at a key."""
    with services().database.reading() as session:
        row = find(session, caller().owner, path.key_id)
    return operations.answer(show_key(row))


@blueprint.delete("/<key_id>", **operations.describe(Scope.KEYS_ADMIN, {204: None}, 404))
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
