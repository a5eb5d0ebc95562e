"""Served files: the only way from storage to a reader, open to nothing but images that were checked and marked.

An owner's uploads, which no press has made, are read for that owner alone and have no links.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.errors import ObjectMissingError
from common.images.provenance import DIGITAL_SOURCE_TYPE
from common.images.quarantine import build_release_keys
from common.images.quarantine_encryption import FilePart, PictureCipher
from common.logs import get_logger
from common.states.jobs import ImageStatus, SafetyMode, Verdict
from common.storage.keys import build_quarantine_key, parse_image_key
from common.storage.port import Storage
from common.tables import Asset, Image

THUMBNAIL_TYPE = "image/webp"

log = get_logger(__name__)


@dataclass(frozen=True)
class PublishedFile:
    """The file of a published image, or of its thumbnail. Raises ValueError for an image that may not be served."""

    image: Image
    is_thumbnail: bool = False

    def __post_init__(self) -> None:
        if not is_servable(self.image):
            raise ValueError(f"the image {self.image.id} was not checked, marked and published")

    @property
    def key(self) -> str:
        """Return the storage key."""
        return (self.image.thumbnail_key if self.is_thumbnail else self.image.storage_key) or ""

    @property
    def content_type(self) -> str:
        """Return the media type."""
        return THUMBNAIL_TYPE if self.is_thumbnail else self.image.content_type or "image/png"

    @property
    def filename(self) -> str:
        """Return the name under which the file is saved."""
        part = "-thumbnail" if self.is_thumbnail else ""
        return f"{self.image.job_id}-{self.image.position}{part}.{self.key.rpartition('.')[2]}"


def is_servable(image: Image) -> bool:
    """Return whether *image* is published and was checked and marked.

    What was checked is told as the table's constraint tells it; the digest is that of the marked file.
    """
    was_checked = (
        image.verdict in (Verdict.PASS, Verdict.REVIEW)
        or (image.verdict is Verdict.BLOCK and image.released_at is not None)
        or (image.verdict is Verdict.UNCHECKED and image.safety_mode is SafetyMode.OFF)
    )
    return image.status.is_readable and was_checked and image.sha256 is not None and image.storage_key is not None


def find_published_file(image: Image, *, thumbnail: bool = False) -> PublishedFile | None:
    """Return the file of an image or of its thumbnail; None if there is none or it may not be served."""
    if not is_servable(image) or (thumbnail and image.thumbnail_key is None):
        return None
    return PublishedFile(image, thumbnail)


def find_file_by_key(session: Session, key: str) -> PublishedFile | None:
    """Return the published file that is stored under *key*; None if no image is published there."""
    named = parse_image_key(key)
    if named is None:
        return None
    image = session.scalar(select(Image).where(Image.job_id == named.job_id, Image.position == named.position))
    files = [] if image is None else [find_published_file(image), find_published_file(image, thumbnail=True)]
    return next((file for file in files if file is not None and file.key == key), None)


class ServedFiles:
    """Reads, links and releases files for readers; *secret* is the service's own."""

    def __init__(self, storage: Storage, secret: bytes) -> None:
        self._storage = storage
        self._cipher = PictureCipher(secret)

    def read_image(self, file: PublishedFile) -> bytes:
        """Return a published file; raise ObjectMissingError if it is gone, or is not the one that was published."""
        data = self._storage.get(file.key)
        if not file.is_thumbnail:
            _require_digest(data, file.image.sha256)
        return _require_mark(data)

    def sign_link(self, file: PublishedFile, seconds: int, filename: str | None = None) -> str:
        """Return an absolute URL from which anyone can read a published file for so many seconds."""
        return self._storage.sign(
            file.key, content_type=file.content_type, filename=filename or file.filename, seconds=seconds
        )

    def read_preview(self, image: Image) -> bytes:
        """Return the preview of a quarantined image, for a reviewer."""
        return _require_mark(self._open_sealed(image.id, FilePart.PREVIEW))

    def store_released(self, image: Image) -> None:
        """Store the files of a quarantined image where they are to be published; it may be repeated."""
        if image.status is not ImageStatus.QUARANTINED or image.content_type is None:
            raise ValueError(f"the image {image.id} is not in quarantine")
        full, thumbnail = build_release_keys(image)
        data = _require_mark(_require_digest(self._open_sealed(image.id, FilePart.FULL), image.sha256))
        self._storage.put(full, data, image.content_type)
        self._storage.put(thumbnail, _require_mark(self._open_sealed(image.id, FilePart.THUMBNAIL)), THUMBNAIL_TYPE)

    def read_asset(self, asset: Asset, owner: str) -> bytes:
        """Return an upload for *owner*, who handed it in; raise ObjectMissingError for anybody else."""
        if asset.owner != owner:
            raise ObjectMissingError
        return _require_digest(self._storage.get(asset.storage_key), asset.sha256)

    def find_origin(self) -> str:
        """Return the scheme and host of the links."""
        url = urlsplit(self._storage.sign("origin", content_type="image/png", filename="origin", seconds=60))
        return f"{url.scheme}://{url.netloc}"

    def _open_sealed(self, image_id: UUID, part: FilePart) -> bytes:
        return self._cipher.open(image_id, part, self._storage.get(build_quarantine_key(image_id, part)))


def _require_digest(data: bytes, sha256: str | None) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        log.error("file_not_served", reason="changed since it was written")
        raise ObjectMissingError
    return data


def _require_mark(data: bytes) -> bytes:
    if DIGITAL_SOURCE_TYPE.encode() not in data:
        log.error("file_not_served", reason="carries no provenance mark")
        raise ObjectMissingError
    return data
