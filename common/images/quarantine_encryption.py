"""Encrypts blocked images at rest: AES-256-GCM (NIST SP 800-38D) with a key derived from the signing secret.

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


class FilePart(StrEnum):
    """Which of an image's files."""

    FULL = "full"
    THUMBNAIL = "thumbnail"
    PREVIEW = "preview"  # a single colour, for reviewers


class SealUnreadableError(PressroomError):
    """The image was encrypted with a different PRESSROOM_SECRET_KEY, or has been modified."""

    code = "seal_unreadable"


class PictureCipher:
    """Encrypts and decrypts files, so that a copy of the storage is useless without the signing secret."""

    def __init__(self, signing_secret: bytes) -> None:
        self._cipher = AESGCM(hmac.new(signing_secret, PURPOSE, hashlib.sha256).digest())

    def seal(self, image_id: UUID, part: FilePart, data: bytes) -> bytes:
        """Return *data* encrypted and authenticated, its nonce before it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, _build_associated_data(image_id, part))

    def open(self, image_id: UUID, part: FilePart, sealed: bytes) -> bytes:
        """Return the file; raise SealUnreadableError."""
        try:
            return self._cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _build_associated_data(image_id, part)
            )
        except (InvalidTag, ValueError):
            raise SealUnreadableError from None


def _build_associated_data(image_id: UUID, part: FilePart) -> bytes:
    return f"{image_id} {part}".encode()
