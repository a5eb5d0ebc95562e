"""Campaigns at every step of their path, for screenshots of the console."""

from typing import Any

import httpx2

from tests.browser.readers import Reader
from tests.support.waiting import until

WORDS = 'a {{ subject }} on a {{ background | default: "cream" }} background'
SUBJECTS = (
    *("fox face", "rocket", "red apple", "owl", "crown", "key", "ghost", "sailing boat"),
    *("snowman", "bicycle", "violin", "frog face"),
)
BACKGROUNDS = ("red", "blue", "green", "navy", "yellow", "")
PEOPLE = ("anna", "ben", "cleo", "dora", "emil", "faye", "gus", "hana", "ivo", "jana", "karl", "lena")
ROWS = [
    f"{name}@example.com,{subject},{BACKGROUNDS[place % len(BACKGROUNDS)]}"
    for place, (name, subject) in enumerate(zip(PEOPLE, SUBJECTS, strict=True))
]
BAD = ["mia@example.com,,red", "anna@example.com,kite,blue", "noah@example.com,,"]
PRINTING_SECONDS = 400


def print_campaigns(reader: Reader) -> dict[str, str]:
    """Return the path of each page of campaigns by its name: one is printed, one at work, one new, with mistakes."""
    variants = [{"name": "plain"}, {"name": "painted", "defaults": {"output_format": "jpeg"}}]
    done = _make(reader, "Birthdays in May", ROWS, variants=variants)
    reader.tell(f"/v1/campaigns/{done}/proofs", {"k": 4})
    _wait(reader, done, "ready")
    _start(reader, done)
    _wait(reader, done, "completed")
    new = _make(reader, "Thank you, members", [*ROWS, *BAD])
    reader.tell(f"/v1/campaigns/{new}/proofs", {"k": 6})
    _wait(reader, new, "ready")
    busy = _make(reader, "Summer cards", ROWS, images_per_recipient=10, seed_rule="recipient", budget={"amount": "0.1"})
    _start(reader, busy)
    until(
        lambda: reader.ask(f"/v1/campaigns/{busy}")["progress"]["prints"]["printed"] >= 3,
        "some pictures",
        PRINTING_SECONDS,
    )
    reader.tell(f"/v1/campaigns/{busy}/pause")
    return {
        "campaigns": "/campaigns",
        "campaign-new": f"/campaigns/new?like={done}",
        "campaign-recipients": f"/campaigns/{new}/recipients",
        "campaign-prompts": f"/campaigns/{done}/prompts",
        "campaign-proofs": f"/campaigns/{new}/proofs",
        "campaign-approve": f"/campaigns/{new}/approve",
        "campaign-watch": f"/campaigns/{busy}/watch",
        "campaign-results": f"/campaigns/{done}/results",
        "campaign-variants": f"/campaigns/{done}/variants",
    }


def _make(reader: Reader, name: str, rows: list[str], **fields: Any) -> str:
    body = {"name": name, "template": {"prompt": WORDS}, "budget": {"amount": "2"}} | fields
    made: str = reader.tell("/v1/campaigns", body)["id"]
    answer = httpx2.put(
        f"{reader.url}/v1/campaigns/{made}/recipients?on_error=skip",
        content="\n".join(["recipient_id,subject,background", *rows]).encode(),
        headers={"Authorization": f"Bearer {reader.key}", "Content-Type": "text/csv"},
        trust_env=False,
    )
    assert answer.is_success, answer.text
    return made


def _start(reader: Reader, campaign: str) -> None:
    digest = reader.ask(f"/v1/campaigns/{campaign}")["spec_digest"]
    reader.tell(f"/v1/campaigns/{campaign}/approve", {"spec_digest": digest})
    reader.tell(f"/v1/campaigns/{campaign}/start")


def _wait(reader: Reader, campaign: str, status: str) -> None:
    until(lambda: reader.ask(f"/v1/campaigns/{campaign}")["status"] == status, status, PRINTING_SECONDS)
