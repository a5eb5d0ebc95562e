"""Assets: pictures that owners hand in for jobs to start from; the only module that writes their rows.

A row comes before its object and goes after it, so that nothing is stored that no row knows of.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from common.db.clock import fetch_now, now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import AssetInUseError, TooManyAssetsError
from common.logs import get_logger
from common.states.jobs import TERMINAL, JobStatus, Verdict
from common.storage.keys import build_asset_key
from common.storage.port import ObjectStore
from common.tables import Asset, Campaign, Job

CONTENT_TYPE = "image/png"
UNFINISHED_KEPT = timedelta(hours=1)
"""How long a row without a usable object stays: longer than any upload or deletion takes."""

FIELDS = ("init_image", "mask_image")
"""The fields of a request that name assets."""

log = get_logger(__name__)
_OPEN = [status for status in JobStatus if status not in TERMINAL]


class AssetReferences(Protocol):
    """A request, complete or not yet."""

    @property
    def init_image(self) -> UUID | None:
        """Return the asset to start from."""

    @property
    def mask_image(self) -> UUID | None:
        """Return the asset of the mask: what to generate again."""


@dataclass(frozen=True)
class PictureFile:
    """A PNG file that this service has written."""

    data: bytes
    width: int
    height: int
    original: dict[str, Any]
    """The format and size of the uploaded file, and what was changed."""


def create_asset(
    database: Database, storage: ObjectStore, owner: str, file: PictureFile, *, days: int, most: int
) -> Asset:
    """Keep a picture for *days*; raise TooManyAssetsError where its owner has *most* already."""
    with database.transaction() as session:
        asset = _insert_asset(session, owner, file, timedelta(days=days), most)
    storage.put(asset.storage_key, file.data, CONTENT_TYPE)
    with database.transaction() as session:
        session.execute(update(Asset).where(Asset.id == asset.id).values(stored_at=now_sql(session)))
    return asset


def find_asset(session: Session, owner: str, asset_id: UUID) -> Asset | None:
    """Return an asset of *owner* that a new job may name: stored, and not expired."""
    return session.scalar(
        select(Asset).where(
            Asset.id == asset_id,
            Asset.owner == owner,
            Asset.stored_at.is_not(None),
            Asset.expires_at > now_sql(session),
        )
    )


def find_named_asset(session: Session, owner: str, asset_id: UUID) -> Asset | None:
    """Return an asset of *owner* that a job has named, even if it has expired meanwhile."""
    return session.scalar(select(Asset).where(Asset.id == asset_id, Asset.owner == owner, Asset.stored_at.is_not(None)))


def list_assets(session: Session, owner: str, *, after: UUID | None, limit: int) -> list[Asset]:
    """Return assets of *owner*, the newest first, beginning after the asset *after*."""
    query = (
        select(Asset)
        .where(Asset.owner == owner, Asset.stored_at.is_not(None), Asset.expires_at > now_sql(session))
        .order_by(Asset.id.desc())
        .limit(limit)
    )
    return list(session.scalars(query if after is None else query.where(Asset.id < after)))


def find_missing_assets(session: Session, owner: str, wanted: AssetReferences) -> list[str]:
    """Return the fields of *wanted* that name no asset of *owner* that a new job may name."""
    named = {name: getattr(wanted, name) for name in FIELDS}
    return [name for name, asset_id in named.items() if asset_id and find_asset(session, owner, asset_id) is None]


def list_named_assets(session: Session, owner: str) -> set[UUID]:
    """Return the assets that jobs of *owner* name which have not ended, and those that campaigns name."""
    names = [Job.request[field].as_string() for field in (*FIELDS, "fallback_image")]
    rows = session.execute(
        select(*names).where(Job.owner == owner, Job.status.in_(_OPEN), or_(*(name.is_not(None) for name in names)))
    )
    return {UUID(name) for row in rows for name in row if name} | _list_campaign_assets(session, owner)


def _list_campaign_assets(session: Session, owner: str) -> set[UUID]:
    specs = session.scalars(select(Campaign.spec).where(Campaign.owner == owner, Campaign.deleted_at.is_(None)))
    found = set[UUID]()
    for spec in specs:  # as stored, see common.campaigns.spec
        named = [spec.get("fallback_image"), *(arm["request"].get(field) for arm in spec["arms"] for field in FIELDS)]
        found |= {UUID(asset_id) for asset_id in named if asset_id is not None}
    return found


def record_verdict(session: Session, asset_id: UUID, verdict: Verdict, safety: Mapping[str, Any]) -> None:
    """Keep what a checker said of an asset."""
    session.execute(update(Asset).where(Asset.id == asset_id).values(verdict=verdict, safety=dict(safety)))


def delete_asset(session: Session, asset: Asset) -> None:
    """Hide an asset; raise AssetInUseError while a job that has not ended names it."""
    if asset.id in list_named_assets(session, asset.owner):
        raise AssetInUseError
    hide_assets(session, [asset])


def hide_assets(session: Session, hidden: Sequence[Asset]) -> None:
    """Take assets away from all jobs, before they are erased."""
    ids = [asset.id for asset in hidden]
    session.execute(update(Asset).where(Asset.id.in_(ids)).values(stored_at=None))


def erase_assets(database: Database, storage: ObjectStore, hidden: Sequence[Asset]) -> None:
    """Delete the objects of hidden assets, then their rows; an object that cannot be deleted keeps its row."""
    failed = storage.delete_all([asset.storage_key for asset in hidden])
    if failed:
        log.warning("assets_not_deleted", count=len(failed), reason=next(iter(failed.values())))
    gone = [asset.id for asset in hidden if asset.storage_key not in failed]
    with database.transaction() as session:
        session.execute(delete(Asset).where(Asset.id.in_(gone), Asset.stored_at.is_(None)))


def list_collectable_assets(session: Session, after: UUID, most: int) -> Sequence[Asset]:
    """Return assets whose time has passed, or that an upload or a deletion left hidden, by id from *after* on."""
    now = fetch_now(session)
    is_expired = and_(Asset.stored_at.is_not(None), Asset.expires_at <= now)
    is_left = and_(Asset.stored_at.is_(None), Asset.created_at < now - UNFINISHED_KEPT)
    found = select(Asset).where(Asset.id > after, or_(is_expired, is_left))
    return session.scalars(found.order_by(Asset.id).limit(most)).all()


def _insert_asset(session: Session, owner: str, file: PictureFile, kept: timedelta, most: int) -> Asset:
    owned = select(Asset.id).where(Asset.owner == owner).limit(most)
    if (session.scalar(select(func.count()).select_from(owned.subquery())) or 0) >= most:
        raise TooManyAssetsError
    asset_id, sha256 = create_id(), hashlib.sha256(file.data).hexdigest()
    moment = session.scalars(select(now_sql(session))).one()
    asset = Asset(
        id=asset_id,
        owner=owner,
        width=file.width,
        height=file.height,
        bytes=len(file.data),
        sha256=sha256,
        storage_key=build_asset_key(owner, asset_id, sha256),
        original=file.original,
        safety={},
        created_at=moment,
        expires_at=moment + kept,
    )
    session.add(asset)
    return asset
