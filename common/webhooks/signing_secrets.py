"""Encrypts webhook secrets at rest with a key derived from the signing secret; they are decrypted to sign."""

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken

from common.errors import PressroomError

PURPOSE = b"pressroom.webhooks.secrets"
WHSEC_PREFIX = "whsec_"
NEW_BYTES = 32
FEWEST_BYTES, MOST_BYTES = 24, 64


class SecretUnreadableError(PressroomError):
    """The secret was encrypted with a different PRESSROOM_SECRET_KEY; rotate it."""

    code = "secret_unreadable"


class InvalidSecretError(PressroomError):
    """The secret must be `whsec_` followed by 24 to 64 base64-encoded bytes."""

    code = "invalid_secret"


class SecretCipher:
    """Encrypts and decrypts secrets, so that a copy of the database is useless without the signing secret."""

    def __init__(self, signing_secret: bytes) -> None:
        key = hmac.new(signing_secret, PURPOSE, hashlib.sha256).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, secret: bytes) -> bytes:
        """Return *secret* encrypted and authenticated."""
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """Return the secret; raise SecretUnreadableError."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise SecretUnreadableError from None


def create_secret() -> bytes:
    """Return a new secret."""
    return secrets.token_bytes(NEW_BYTES)


def format_secret(secret: bytes) -> str:
    """Return *secret* as Standard Webhooks spells it."""
    return WHSEC_PREFIX + base64.b64encode(secret).decode()


def parse_secret(text: str) -> bytes:
    """Return the secret that *text* spells; raise InvalidSecretError."""
    try:
        secret = base64.b64decode(text.removeprefix(WHSEC_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecretError from None
    if not (text.startswith(WHSEC_PREFIX) and FEWEST_BYTES <= len(secret) <= MOST_BYTES):
        raise InvalidSecretError
    return secret
