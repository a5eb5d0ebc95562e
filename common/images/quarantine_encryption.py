"""Blocked pictures at rest: AES-256-GCM (NIST SP 800-38D) by a key derived from the house's signing secret.

Each file is bound to its image and its part of it, so that none can be passed off as another.
"""

import hashlib
import hmac
import secrets
from enum import StrEnum
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.errors import PressroomError

PURPOSE = b"pressroom.quarantine.files"
NONCE_BYTES = 12


class Part(StrEnum):
    """Which of an image's files."""

    FULL = "full"
    THUMBNAIL = "thumbnail"
    PREVIEW = "preview"  # blurred, for reviewers


class SealUnreadableError(PressroomError):
    """The picture was sealed under another signing secret, or has been changed since."""

    code = "seal_unreadable"


class PictureSealer:
    """Seals and opens files; whoever has the storage without the signing secret has noise."""

    def __init__(self, signing_secret: bytes) -> None:
        self._cipher = AESGCM(hmac.new(signing_secret, PURPOSE, hashlib.sha256).digest())

    def seal(self, image_id: UUID, part: Part, data: bytes) -> bytes:
        """Return *data* encrypted and authenticated, its nonce before it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, _bind(image_id, part))

    def open(self, image_id: UUID, part: Part, sealed: bytes) -> bytes:
        """Return the file; raise SealUnreadableError."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bind(image_id, part))
        except (InvalidTag, ValueError):
            raise SealUnreadableError from None


def _bind(image_id: UUID, part: Part) -> bytes:
    return f"{image_id} {part}".encode()
