"""The page for receivers tells the truth: its receiver verifies what is sent, and its tables leave nothing out."""

import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.webhooks.schemas import CampaignEvent, JobEvent
from common.states.webhooks import CAMPAIGN_EVENTS, JOB_EVENTS, EventType, Failure
from common.webhooks import signatures, signing_secrets

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET = b"x" * 32
BODY = b'{"type":"job.succeeded","data":{"id":"7","status":"succeeded"}}'


@pytest.fixture
def receiver() -> FlaskClient:
    """The receiver that the page shows, with a secret of its own."""
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found
    names: dict[str, Any] = {"__name__": __name__}
    exec(found[1].replace("whsec_...", signing_secrets.format_secret(SECRET)), names)
    app = names["app"]
    assert isinstance(app, Flask)
    return app.test_client()


def headers(secret: bytes = SECRET, **changes: str) -> dict[str, str]:
    signed = signatures.build_headers([secret], "7", int(time.time()), 1, BODY)
    return signed | {name.replace("_", "-"): value for name, value in changes.items()}


def test_the_example_receiver_accepts_a_message_once(receiver: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert receiver.post("/pressroom", data=BODY, headers=headers()).status_code == 204
    assert capsys.readouterr().out == "job.succeeded 7 succeeded\n"


@pytest.mark.parametrize(
    "sent",
    [headers(b"y" * 32), headers(webhook_id="8"), headers(webhook_signature="garbage"), {}],
    ids=["another secret", "another id", "no signature", "nothing"],
)
def test_the_example_receiver_rejects_messages_signed_by_others(receiver: FlaskClient, sent: dict[str, str]) -> None:
    assert receiver.post("/pressroom", data=BODY, headers=sent).status_code == 400


def test_the_page_names_every_event_and_every_reason() -> None:
    for word in (*EventType, *Failure):
        assert f"`{word}`" in PAGE, word


def test_the_api_accepts_exactly_the_defined_events() -> None:
    assert get_args(JobEvent) == tuple(map(str, JOB_EVENTS))
    assert get_args(CampaignEvent) == tuple(map(str, CAMPAIGN_EVENTS))
