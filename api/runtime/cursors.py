"""Cursors: opaque, signed, and good for the owner alone that they were given to."""

import hashlib
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer


class Cursors:
    """Writes and reads the cursors of lists that are ordered by id."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, owner: str, last: UUID) -> str:
        """Return the cursor of the page that begins after *last*."""
        text = self._serializer(owner).dumps(last.hex)
        return text if isinstance(text, str) else text.decode()

    def read(self, owner: str, cursor: str) -> UUID | None:
        """Return the id after which the page begins; None for a cursor that *owner* was not given."""
        try:
            return UUID(hex=self._serializer(owner).loads(cursor))
        except BadData:
            return None

    def _serializer(self, owner: str) -> URLSafeSerializer:
        salt = f"pressroom.cursors.{owner}"
        return URLSafeSerializer(self._secret, salt=salt, signer_kwargs={"digest_method": hashlib.sha256})
