"""A real campaign on the starter model and the real checker: every row is accounted for, and the results are right."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from common.cli.campaign_client import CampaignClient
from common.cli.client import Json
from common.images.provenance import DIGITAL_SOURCE_TYPE, PNG_XMP_KEYWORD
from common.states.campaigns import CampaignStatus
from tests.functional.backends import Embedded
from tests.functional.stack import Stack, running
from worker.starter.subjects import read_vocabulary

SLOW = 300
pytestmark = pytest.mark.timeout(2 * SLOW)

STRICT = {"PRESSROOM_SAFETY_REVIEW_ABOVE": "0.3", "PRESSROOM_SAFETY_BLOCK_ABOVE": "0.3"}
"""So strict a check takes one of these pictures, a horse in brown, for something else; all others are far below."""

BLOCKED = ("horse face", "brown")
SEED = 8
TEMPLATE = 'a {{ subject }} on a {{ background | default: "cream" }} background'
FORMULA = "=cmd|' /C calc'!A0"
VOCABULARY = read_vocabulary()
BACKGROUNDS = VOCABULARY.backgrounds
COLUMNS = ["recipient_id", "subject", "background"]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with running(Embedded(), settings={"PRESSROOM_LOG_FORMAT": "json"} | STRICT, patience_seconds=SLOW) as started:
        yield started
        jobs = started.client().http.get("/v1/jobs", params={"limit": 100}).json()["data"]
        started.client().accepted[:] = [job["id"] for job in jobs]
        started.check()


def people() -> list[list[str]]:
    """Return 60 rows that can be printed: a formula, a blocked one, one without background, three who want the same."""
    colours = list(BACKGROUNDS)
    subjects = [name for name in VOCABULARY.subjects if name != BLOCKED[0]][:54]
    rows = [[f"r{place}", name, colours[place % len(colours)]] for place, name in enumerate(subjects)]
    return [
        [FORMULA, "key", "blue"],
        ["blocked", *BLOCKED],
        ["plain", "red apple", ""],
        *([name, "crown", "navy"] for name in ("same1", "same2", "same3")),
        *rows,
    ]


def write(file: Path, rows: list[list[str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([COLUMNS, *rows])
    return file


def read(client: CampaignClient, path: str, folder: Path, **query: int) -> list[dict[str, str]]:
    client.save(path, folder / "table.csv", **query)
    return list(csv.DictReader((folder / "table.csv").read_text(encoding="utf-8-sig").splitlines()))


def make(client: CampaignClient) -> Json:
    return client.create_campaign(
        {
            "name": "Birthdays",
            "template": {"prompt": TEMPLATE},
            "variants": [{"name": "crisp"}, {"name": "light", "defaults": {"output_format": "jpeg"}}],
            "seed_rule": "fixed",
            "seed": SEED,
            "budget": {"amount": "20"},
        }
    )


def finish(client: CampaignClient, campaign_id: str) -> Json:
    client.approve(campaign_id, client.campaign(campaign_id)["spec_digest"])
    client.act(campaign_id, "start")
    return client.follow(campaign_id, lambda _: None)


def is_near(found: str, wanted: tuple[int, int, int]) -> bool:
    pairs = zip(bytes.fromhex(found.removeprefix("#")), wanted, strict=True)
    return max(abs(one - other) for one, other in pairs) <= 40


def test_the_results_of_a_real_campaign_are_right_for_every_row(stack: Stack, tmp_path: Path) -> None:
    rows = people()
    assert len(rows) == 60
    bad = [["nothing", "", "red"], ["r1", "ghost", "pink"]]
    with CampaignClient(stack.settings.base_url, stack.client().key) as client:
        campaign_id = make(client)["id"]
        receipt = client.upload_recipients(campaign_id, write(tmp_path / "people.csv", rows + bad))
        assert (receipt["accepted"], receipt["rejected"]) == (60, 2)
        ended = finish(client, campaign_id)
        assert ended["status"] == CampaignStatus.COMPLETED
        base = f"/v1/campaigns/{campaign_id}"
        _check_results(read(client, f"{base}/results.csv", tmp_path), rows, ended)
        _check_sheet(client, base, tmp_path)

        errors = read(client, f"{base}/recipients/errors.csv", tmp_path)
        assert [(row["recipient_id"], row["error_code"], row["error_row"]) for row in errors] == [
            ("nothing", "missing_value", "61"),
            ("r1", "duplicate_recipient", "62"),
        ]
        _correct(tmp_path / "table.csv", errors)
        assert client.upload_recipients(campaign_id, tmp_path / "table.csv", mode="append")["accepted"] == 2
        assert finish(client, campaign_id)["status"] == CampaignStatus.COMPLETED
        found = read(client, f"{base}/results.csv", tmp_path)
        assert [(row["recipient_id"], row["status"]) for row in found[60:]] == [
            ("nothing", "printed"),
            ("r99", "printed"),
        ]


def _check_results(found: list[dict[str, str]], rows: list[list[str]], ended: Json) -> None:
    by_id = {row["recipient_id"]: row for row in found}
    assert [row["recipient_id"] for row in found] == [f"'{FORMULA}", *(row[0] for row in rows[1:])]
    assert {row["variant"] for row in found} == {"crisp", "light"}
    blocked = by_id.pop("blocked")
    assert (blocked["status"], blocked["error_code"], blocked["cost"]) == ("blocked", "content_blocked", "0")
    assert float(blocked["safety_score"]) > 0.3
    assert (blocked["link"], blocked["image_url"]) == ("", "")
    assert {row["status"] for row in by_id.values()} == {"printed"}
    assert {row["seed"] for row in by_id.values()} == {str(SEED)}
    same = [by_id[name] for name in ("same1", "same2", "same3")]
    assert len({row["image_id"] for row in same}) == len({row["variant"] for row in same}) < 3, "one print for each arm"
    assert [row["cost"] == "0" for row in same] == [row["picture"] == "shared" for row in same]
    wanted = {row[0]: BACKGROUNDS[row[2] or "cream"] for row in rows}
    seen = sum(
        any(is_near(colour, wanted[name]) for colour in row["colours"].split()[::2])
        for name, row in by_id.items()
        if name in wanted
    )
    assert seen >= 52, "the background that each has asked for is among the colours of the picture"
    prints = ended["progress"]["prints"]
    assert (prints["printed"], prints["blocked"], prints["wanted"]) == (59, 1, 60)
    assert sum(ended["progress"]["arms"][name]["wanted"] for name in ("crisp", "light")) == 60


def _check_sheet(client: CampaignClient, base: str, folder: Path) -> None:
    sheet = folder / "contact-sheet.png"
    assert client.save(f"{base}/contact-sheet.png", sheet, per_page=60) is False, "one page holds all"
    with Image.open(io.BytesIO(sheet.read_bytes())) as picture:
        assert DIGITAL_SOURCE_TYPE in picture.info[PNG_XMP_KEYWORD]


def _correct(file: Path, errors: list[dict[str, Any]]) -> None:
    """Mend what the file of errors tells, and leave its other columns as they are."""
    errors[0]["subject"] = "ghost"
    errors[1]["recipient_id"] = "r99"
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(errors[0]))
        writer.writeheader()
        writer.writerows(errors)
