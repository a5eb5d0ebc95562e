"""Console sessions: a signed cookie holds the id of a session and its expiry time, never the key itself.

The session is a row (``common.access.keys.open_console_session``): signing out ends it for every copy of its cookie.
"""

import hashlib
import hmac
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from itsdangerous import BadData, Signer, URLSafeSerializer

from common.clock import utcnow

COOKIE = "pressroom_session"
SESSION_LIFETIME = timedelta(hours=12)


class SignedSession(NamedTuple):
    """The content of a cookie: the id of the session and its expiry time."""

    session_id: UUID
    expires_at: int


class Sessions:
    """Signs and verifies session cookies and CSRF tokens."""

    def __init__(self, secret: bytes) -> None:
        options = {"digest_method": hashlib.sha256}
        self._cookies = URLSafeSerializer(secret, salt="pressroom.console", signer_kwargs=options)
        self._tokens = Signer(secret, salt="pressroom.console.forms", digest_method=hashlib.sha256)

    def sign(self, session_id: UUID) -> str:
        """Return the cookie of a new session."""
        return str(self._cookies.dumps([session_id.hex, int((utcnow() + SESSION_LIFETIME).timestamp())]))

    def read(self, cookie: str) -> SignedSession | None:
        """Return the content of a cookie; None if its signature is invalid or it has expired."""
        try:
            session_id, expires_at = self._cookies.loads(cookie)
        except BadData:
            return None
        return SignedSession(UUID(hex=session_id), expires_at) if utcnow().timestamp() < expires_at else None

    def token(self, cookie: str) -> str:
        """Return the CSRF token of the session; another site can neither read nor guess it."""
        return self._tokens.get_signature(cookie).decode()

    def is_own(self, cookie: str, token: str) -> bool:
        """Return whether *token* belongs to this session."""
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())
