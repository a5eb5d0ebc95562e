"""Storage keys of objects: each asset under its id, and every attempt of a job under a prefix of its own.

So a press that was thought dead can never overwrite what another has published.
"""

import re
from typing import NamedTuple
from uuid import UUID

from common.jobs.request import OutputFormat

DIGEST_LETTERS = 16
IMAGE_KEY = re.compile(r"owners/[^/]+/jobs/([0-9a-f-]{36})/(?:a[0-9]{1,9}|released)/([0-9]{1,4})-[0-9a-z.-]{1,40}")


class ImageName(NamedTuple):
    """Which image of which job."""

    job_id: UUID
    position: int


def build_attempt_prefix(owner: str, job_id: UUID, attempt: int) -> str:
    """Return what the keys of all objects of one attempt begin with."""
    return f"owners/{owner}/jobs/{job_id}/a{attempt}/"


def build_image_key(prefix: str, position: int, sha256: str, output_format: OutputFormat) -> str:
    """Return the key of an image."""
    return f"{prefix}{position}-{sha256[:DIGEST_LETTERS]}.{output_format.value}"


def build_thumbnail_key(prefix: str, position: int, sha256: str) -> str:
    """Return the key of an image's thumbnail."""
    return f"{prefix}{position}-{sha256[:DIGEST_LETTERS]}-thumbnail.webp"


def parse_image_key(key: str) -> ImageName | None:
    """Return whose file, or whose thumbnail, has *key*; None for the key of anything else."""
    found = IMAGE_KEY.fullmatch(key)
    try:
        return None if found is None else ImageName(UUID(found[1]), int(found[2]))
    except ValueError:
        return None


def build_asset_key(owner: str, asset_id: UUID, sha256: str) -> str:
    """Return the key of an asset."""
    return f"owners/{owner}/assets/{asset_id}-{sha256[:DIGEST_LETTERS]}.png"


QUARANTINE_PREFIX = "quarantine/"
"""What the keys of sealed pictures begin with; no link is ever signed for them."""


def build_quarantine_key(image_id: UUID, part: str) -> str:
    """Return the key of a sealed file of a blocked image."""
    return f"{QUARANTINE_PREFIX}{image_id}/{part}"


def build_released_prefix(owner: str, job_id: UUID) -> str:
    """Return what the keys of a job's images begin with that a reviewer released: no attempt's, for those are swept."""
    return f"owners/{owner}/jobs/{job_id}/released/"
