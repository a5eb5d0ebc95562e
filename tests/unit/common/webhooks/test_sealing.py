"""Secrets at rest, and as people write them."""

import base64

import pytest

from common.webhooks import signing_secrets
from common.webhooks.signing_secrets import InvalidSecretError, SecretCipher, SecretUnreadableError


def test_a_secret_is_opened_by_the_signing_secret_that_sealed_it_and_by_no_other() -> None:
    secret = signing_secrets.create_secret()
    sealed = SecretCipher(b"one house").seal(secret)
    assert secret not in sealed
    assert SecretCipher(b"one house").open(sealed) == secret
    with pytest.raises(SecretUnreadableError):
        SecretCipher(b"another house").open(sealed)


def test_encrypting_a_secret_twice_gives_different_texts() -> None:
    cipher = SecretCipher(b"one house")
    assert cipher.seal(b"x" * 24) != cipher.seal(b"x" * 24)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_is_formatted_and_parsed_back(size: int) -> None:
    assert signing_secrets.parse_secret(signing_secrets.format_secret(b"\xff" * size)) == b"\xff" * size


@pytest.mark.parametrize(
    "text",
    [
        signing_secrets.format_secret(b"8 bytes."),
        signing_secrets.format_secret(b"x" * 23),
        signing_secrets.format_secret(b"x" * 65),
        signing_secrets.format_secret(b"x" * 1_000_000),
        "whsec_not base64!",
        "whsec_",
        "",
        base64.b64encode(b"x" * 32).decode(),
        "whsk_" + base64.b64encode(b"x" * 32).decode(),
        "whsec_" + base64.b64encode(b"x" * 32).decode() + "\n",
        "whsec_ＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡＡ",
    ],
    ids=lambda text: text[:16],
)
def test_a_secret_too_short_too_long_or_misspelled_is_refused(text: str) -> None:
    with pytest.raises(InvalidSecretError):
        signing_secrets.parse_secret(text)


def test_a_new_secret_has_256_random_bits() -> None:
    assert len(signing_secrets.create_secret()) == 32
    assert signing_secrets.create_secret() != signing_secrets.create_secret()
