"""A whole campaign, carried out in the console alone: from a file of recipients to a file of images."""

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.readers import Reader

pytestmark = pytest.mark.timeout(300)

SignIn = Callable[..., Reader]
PRINTED_MS = 120_000
ROWS = "recipient_id,subject,background\nanna,fox,red\nben,rocket,\ncleo,,blue\ndora,owl,green\n"
WORDS = 'a {{ subject }} on a {{ background | default: "white" }} background'


def agree(dialog: Dialog) -> None:
    dialog.accept()


def make_campaign(reader: Reader, name: str) -> Page:
    """Fill the form of a new campaign in, with two variants and small pictures, and send it."""
    page = reader.open("/campaigns")
    page.get_by_role("button", name="New campaign").click()
    assert reader.find_barriers() == []
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Prompt template").fill(WORDS)
    page.get_by_label("Budget in USD").fill("5")
    for label, value in (("Width", "64"), ("Height", "64"), ("Steps", "4")):
        page.get_by_label(label).fill(value)
    page.get_by_text("Compare prompts or styles").click()
    first, second = page.get_by_role("group", name="Variant 1"), page.get_by_role("group", name="Variant 2")
    first.get_by_label("Variant name").fill("plain")
    second.get_by_label("Variant name").fill("festive")
    second.get_by_label("Prompt").fill(f"{WORDS} with balloons")
    page.get_by_role("button", name="Continue to recipients").click()
    expect(page.get_by_text("No recipients yet")).to_be_visible()
    return page


def download(page: Page, name: str) -> bytes:
    """Follow a link to a file and return it."""
    with page.expect_download() as found:
        page.get_by_role("button", name=name).click()
    return Path(found.value.path()).read_bytes()


def test_a_campaign_goes_from_a_file_of_recipients_to_a_file_of_pictures(sign_in: SignIn, tmp_path: Path) -> None:
    reader = sign_in("cam")
    page = make_campaign(reader, "Birthdays in May")
    assert reader.find_barriers() == []
    upload_recipients(page, tmp_path)
    assert reader.find_barriers() == []
    page.get_by_role("button", name="Continue to prompts").click()
    expect(page.get_by_role("region", name="Prompts")).to_contain_text("a rocket on a white background")
    assert reader.find_barriers() == []
    page.get_by_role("button", name="Continue to proofs").click()
    page.get_by_label("Rows to proof").fill("2")
    page.get_by_role("button", name="Print proofs").click()
    expect(page.get_by_text("Estimated total cost")).to_be_visible(timeout=PRINTED_MS)
    expect(page.locator(".proofs img")).to_have_count(2)
    assert reader.find_barriers() == []
    page.get_by_role("button", name="Continue to approval").click()
    expect(page.get_by_role("region", name="Spending")).to_contain_text("never exceeds 5.00 USD")
    assert reader.find_barriers() == []
    page.get_by_label("I have reviewed the proofs").check()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Start printing").click()
    expect(page.locator("#watch")).to_contain_text("completed", timeout=PRINTED_MS)
    expect(page.locator("#watch")).to_contain_text("4 of 4")
    assert reader.find_barriers() == []
    page.get_by_role("button", name="View results").click()
    fetch(page)
    assert reader.find_barriers() == []
    page.get_by_role("button", name="Compare variants").click()
    expect(page.get_by_role("region", name="Variants")).to_contain_text("festive")
    assert reader.find_barriers() == []
    page = reader.open("/campaigns")
    expect(page.get_by_role("row", name="Birthdays in May")).to_contain_text("100%")
    assert reader.find_barriers() == []


def upload_recipients(page: Page, folder: Path) -> None:
    """Hand a file in, of which one row is at fault, and then that row corrected."""
    file = folder / "people.csv"
    file.write_text(ROWS, encoding="utf-8")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()
    table = page.get_by_role("region", name="Rejected rows")
    expect(table).to_contain_text("subject")
    errors = list(csv.reader(io.StringIO(download(page, "Download errors.csv").decode("utf-8-sig"))))
    assert errors[1][:3] == ["cleo", "", "blue"]
    errors[1][1] = "kite"
    page.get_by_label("Or paste rows").fill("\n".join(",".join(f'"{cell}"' for cell in row) for row in errors))
    page.get_by_label("Add to the current recipients").check()
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_text("All rows were accepted.")).to_be_visible()
    expect(page.locator(".figures").first).to_contain_text("4 recipients")


def fetch(page: Page) -> None:
    """Look at the results, fetch them, make and revoke links, and erase one person."""
    expect(page.locator(".grid img")).to_have_count(4)
    with zipfile.ZipFile(io.BytesIO(download(page, "Download all as ZIP"))) as archive:
        assert sorted(archive.namelist()) == [f"{name}-0.png" for name in ("anna", "ben", "cleo", "dora")]
        assert all(archive.read(name).startswith(b"\x89PNG") for name in archive.namelist())
    assert download(page, "Contact sheet").startswith(b"\x89PNG")
    page.get_by_role("button", name="Create links").click()
    table = list(csv.DictReader(io.StringIO(download(page, "results.csv").decode("utf-8-sig"))))
    assert {row["status"] for row in table} == {"printed"}
    assert {row["variant"] for row in table} <= {"plain", "festive"}
    assert all("/p/" in row["link"] for row in table)
    page.on("dialog", agree)
    page.get_by_role("button", name="Revoke all links").click()
    expect(page.get_by_text("All links were revoked.")).to_be_visible()
    page.get_by_label("Recipient").fill("ben")
    page.get_by_role("button", name="Erase").click()
    expect(page.get_by_text("The recipient was erased")).to_be_visible()
    expect(page.locator(".grid img")).to_have_count(3)


def test_a_campaign_is_steered_while_it_runs(sign_in: SignIn) -> None:
    reader = sign_in("stella")
    page = make_campaign(reader, "Slow ones")
    page.get_by_label("Or paste rows").fill(
        "subject,background\n" + "".join(f"thing {number},red\n" for number in range(400))
    )
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator(".figures").first).to_contain_text("400 recipients")
    page.get_by_role("link", name="Approve").click()
    expect(page.get_by_text("the cost per image is unknown")).to_be_visible()
    page.get_by_label("I have reviewed the prompts").check()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Start printing").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#watch")).to_contain_text("paused")
    page.get_by_label("Budget in USD").fill("7.5")
    page.get_by_role("button", name="Change budget").click()
    expect(page.locator(".money")).to_contain_text("7.50 USD")
    assert reader.find_barriers() == []
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#watch")).to_contain_text("running")
    page.on("dialog", agree)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#watch")).to_contain_text("canceled")


def test_a_file_without_usable_rows_is_reported_beside_its_upload_field(sign_in: SignIn) -> None:
    reader = sign_in("faye")
    page = make_campaign(reader, "Wrong file")
    reader.expect_status(422)
    page.get_by_label("Or paste rows").fill("name\nAda\n")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("alert")).to_contain_text("Unknown variable 'background'")
    assert reader.find_barriers() == []
