"""Pagination cursors: opaque, signed and valid only for the owner they were issued to."""

import hashlib
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer


class Cursors:
    """Writes and reads cursors of lists ordered by ID."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, owner: str, last: UUID) -> str:
        """Return the cursor of the page that starts after *last*."""
        text = self._serializer(owner).dumps(last.hex)
        return text if isinstance(text, str) else text.decode()

    def read(self, owner: str, cursor: str) -> UUID | None:
        """Return the ID after which the page starts; None for a cursor that was not issued to *owner*."""
        try:
            return UUID(hex=self._serializer(owner).loads(cursor))
        except BadData:
            return None

    def _serializer(self, owner: str) -> URLSafeSerializer:
        salt = f"pressroom.cursors.{owner}"
        return URLSafeSerializer(self._secret, salt=salt, signer_kwargs={"digest_method": hashlib.sha256})
