"""Signatures of messages, by Standard Webhooks 1.0.0: HMAC-SHA256 over id, timestamp and body."""

import base64
import hashlib
import hmac
from collections.abc import Sequence


def sign_message(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: one signature for each of *secrets*, separated by spaces."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return " ".join(f"v1,{_encode_digest(hmac.new(secret, signed, hashlib.sha256).digest())}" for secret in secrets)


def build_headers(
    secrets: Sequence[bytes], message_id: str, timestamp: int, number: int, body: bytes
) -> dict[str, str]:
    """Return all that Standard Webhooks has a sender say of a try, and its *number*, for people."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign_message(secrets, message_id, timestamp, body),
        "webhook-attempt": str(number),
    }


def _encode_digest(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
