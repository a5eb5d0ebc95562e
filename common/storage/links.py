"""Links to stored files that need no key: encrypted and authenticated, and valid for a while.

A token is AES-SIV (RFC 5297) of what it leads to, under a key derived from the signing secret: whoever sees a link
learns neither the owner nor the job nor where the file is stored.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from common.clock import utcnow

LINK_PATH = "/files/"
PURPOSE = b"pressroom.links"


class LinkTarget(NamedTuple):
    """What a link leads to."""

    key: str
    content_type: str
    filename: str


class LinkSigner:
    """Makes links under *base_url* and reads their tokens back."""

    def __init__(self, secret: bytes, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        # Unlike AES-GCM, it needs no nonce, whose random values would repeat after some billions of links.
        self._cipher = AESSIV(hmac.digest(secret, PURPOSE, hashlib.sha512))

    def url(self, key: str, content_type: str, filename: str, seconds: int) -> str:
        """Return an absolute URL that leads to *key* for so many seconds."""
        expires_at = int(utcnow().timestamp()) + seconds
        plain = json.dumps([key, content_type, filename, expires_at], separators=(",", ":"))
        return f"{self._base_url}{LINK_PATH}{encode_base64url(self._cipher.encrypt(plain.encode(), None))}"

    def read(self, token: str) -> LinkTarget | None:
        """Return what a token leads to; None when it was not made here, was changed, or has expired."""
        sealed = decode_base64url(token)
        if sealed is None:
            return None
        try:
            key, content_type, filename, expires_at = json.loads(self._cipher.decrypt(sealed, None))
        except (InvalidTag, ValueError):
            return None
        return LinkTarget(key, content_type, filename) if utcnow().timestamp() < expires_at else None


def encode_base64url(data: bytes) -> str:
    """Return *data* in base64url without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes | None:
    """Return the bytes that ``encode_base64url`` spells as *text*; None for any other text."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return data if encode_base64url(data) == text else None


def format_content_disposition(filename: str) -> str:
    """Return the Content-Disposition that makes a browser save the file as *filename* instead of rendering it."""
    return f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
