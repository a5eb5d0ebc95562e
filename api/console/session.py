"""Who is signed in: a signed cookie that names a key and an hour of expiry, but never holds the key."""

import hashlib
import hmac
from typing import NamedTuple
from uuid import UUID

from itsdangerous import BadData, Signer, URLSafeSerializer

from common.clock import utcnow

COOKIE = "pressroom_session"
LASTS_SECONDS = 12 * 3600


class Signed(NamedTuple):
    """What a cookie says: the key with which somebody has signed in."""

    key_id: UUID
    expires_at: int


class Sessions:
    """Writes and reads the cookies, and the tokens that forms carry against forgery."""

    def __init__(self, secret: bytes) -> None:
        options = {"digest_method": hashlib.sha256}
        self._cookies = URLSafeSerializer(secret, salt="pressroom.console", signer_kwargs=options)
        self._tokens = Signer(secret, salt="pressroom.console.forms", digest_method=hashlib.sha256)

    def open(self, key_id: UUID) -> str:
        """Return the cookie of whoever has just signed in by this key."""
        return str(self._cookies.dumps([key_id.hex, int(utcnow().timestamp()) + LASTS_SECONDS]))

    def read(self, cookie: str) -> Signed | None:
        """Return what a cookie says; None when it was not signed here, was changed, or has expired."""
        try:
            key_id, expires_at = self._cookies.loads(cookie)
        except BadData:
            return None
        return Signed(UUID(hex=key_id), expires_at) if utcnow().timestamp() < expires_at else None

    def token(self, cookie: str) -> str:
        """Return what every form of this session carries; another site can neither read nor guess it."""
        return self._tokens.get_signature(cookie).decode()

    def is_own(self, cookie: str, token: str) -> bool:
        """Tell whether a form was made for this session."""
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())
