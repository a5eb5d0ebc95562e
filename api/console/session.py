"""Console sessions: a signed cookie holds a key id and an expiry time, never the key itself."""

import hashlib
import hmac
from typing import NamedTuple
from uuid import UUID

from itsdangerous import BadData, Signer, URLSafeSerializer

from common.clock import utcnow

COOKIE = "pressroom_session"
SESSION_SECONDS = 12 * 3600


class SignedSession(NamedTuple):
    """The content of a cookie: the key id and the expiry time."""

    key_id: UUID
    expires_at: int


class Sessions:
    """Signs and verifies session cookies and CSRF tokens."""

    def __init__(self, secret: bytes) -> None:
        options = {"digest_method": hashlib.sha256}
        self._cookies = URLSafeSerializer(secret, salt="pressroom.console", signer_kwargs=options)
        self._tokens = Signer(secret, salt="pressroom.console.forms", digest_method=hashlib.sha256)

    def open(self, key_id: UUID) -> str:
        """Return a new session cookie for the key."""
        return str(self._cookies.dumps([key_id.hex, int(utcnow().timestamp()) + SESSION_SECONDS]))

    def read(self, cookie: str) -> SignedSession | None:
        """Return the content of a cookie; None if its signature is invalid or it has expired."""
        try:
            key_id, expires_at = self._cookies.loads(cookie)
        except BadData:
            return None
        return SignedSession(UUID(hex=key_id), expires_at) if utcnow().timestamp() < expires_at else None

    def token(self, cookie: str) -> str:
        """Return the CSRF token of the session; another site can neither read nor guess it."""
        return self._tokens.get_signature(cookie).decode()

    def is_own(self, cookie: str, token: str) -> bool:
        """Return whether *token* belongs to this session."""
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())
