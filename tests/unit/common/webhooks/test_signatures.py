"""What we sign, the public libraries of Standard Webhooks and Svix verify, as receivers use them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix

from common.clock import utcnow
from common.webhooks import signatures, signing_secrets

BODY = json.dumps({"type": "job.succeeded", "data": {"prompt": "Größe ☃"}}, ensure_ascii=False).encode()
LIBRARIES = (standardwebhooks.Webhook, svix.webhooks.Webhook)
"""The second verifies and returns nothing; both raise when they refuse."""


def _sign(*secrets: bytes, at: datetime | None = None, body: bytes = BODY) -> dict[str, str]:
    timestamp = int((at or utcnow()).timestamp())
    return signatures.build_headers(secrets, "01a20640-025c-701a-a101-2492ecb370ff", timestamp, 3, body)


def test_the_signature_is_the_one_that_the_specification_gives() -> None:
    secret = signing_secrets.parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signatures.sign_message([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
def test_a_receiver_verifies_a_message(library: type[standardwebhooks.Webhook]) -> None:
    secret = signing_secrets.create_secret()
    library(signing_secrets.format_secret(secret)).verify(BODY, _sign(secret))


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
def test_during_a_rotation_a_receiver_verifies_by_the_old_secret_and_by_the_new(
    library: type[standardwebhooks.Webhook],
) -> None:
    old, new = signing_secrets.create_secret(), signing_secrets.create_secret()
    headers = _sign(new, old)
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        library(signing_secrets.format_secret(secret)).verify(BODY, headers)


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
def test_a_receiver_refuses_what_was_changed_or_is_old_or_signed_by_another(
    library: type[standardwebhooks.Webhook],
) -> None:
    secret = signing_secrets.create_secret()
    receiver = library(signing_secrets.format_secret(secret))
    headers = _sign(secret)
    refused = [
        (BODY.replace(b"succeeded", b"failed"), headers),
        (BODY, headers | {"webhook-id": "another"}),
        (BODY, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
        (BODY, _sign(secret, at=utcnow() - timedelta(minutes=6))),
        (BODY, _sign(signing_secrets.create_secret())),
    ]
    for body, sent in refused:
        with pytest.raises(Exception, match=r"No matching signature found|timestamp too old"):
            receiver.verify(body, sent)


def test_the_headers_name_id_attempt_and_the_seconds_of_the_attempt() -> None:
    moment = datetime(2026, 5, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    headers = _sign(signing_secrets.create_secret(), at=moment)
    assert headers["webhook-timestamp"] == str(int(moment.timestamp()))
    assert headers["webhook-attempt"] == "3"
    assert "." not in headers["webhook-id"]
