"""Links to stored files that need no key: signed, and valid for a while."""

import hashlib
from typing import NamedTuple
from urllib.parse import quote

from itsdangerous import BadData, URLSafeSerializer

from common.clock import utcnow

LINK_PATH = "/files/"
SALT = "pressroom.links"


class LinkTarget(NamedTuple):
    """What a link leads to."""

    key: str
    content_type: str
    filename: str


class LinkSigner:
    """Signs links under *base_url* and reads their tokens back."""

    def __init__(self, secret: bytes, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._serializer = URLSafeSerializer(secret, salt=SALT, signer_kwargs={"digest_method": hashlib.sha256})

    def url(self, key: str, content_type: str, filename: str, seconds: int) -> str:
        """Return an absolute URL that leads to *key* for so many seconds."""
        expires_at = int(utcnow().timestamp()) + seconds
        token = self._serializer.dumps([key, content_type, filename, expires_at])
        return f"{self._base_url}{LINK_PATH}{token!s}"

    def read(self, token: str) -> LinkTarget | None:
        """Return what a token leads to; None when it was not signed here, was changed, or has expired."""
        try:
            key, content_type, filename, expires_at = self._serializer.loads(token)
        except BadData:
            return None
        return LinkTarget(key, content_type, filename) if utcnow().timestamp() < expires_at else None


def format_content_disposition(filename: str) -> str:
    """Return the Content-Disposition that makes a browser save the file as *filename* instead of rendering it."""
    return f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
