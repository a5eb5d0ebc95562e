"""Each page's main task, done by a reader on a running stack; every page is also held against axe."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.readers import Reader
from tests.functional.stack import Stack
from tests.support.picture_files import encode, picture
from tests.support.waiting import until

SignIn = Callable[..., Reader]


def make_picture(reader: Reader, prompt: str, **fields: str) -> Page:
    """Submit a small image by the form, and wait until it is shown."""
    page = reader.open("/generate")
    page.get_by_label("Prompt", exact=True).fill(prompt)
    for label, value in ({"Width": "128", "Height": "128"} | fields).items():
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#print figure img").first).to_be_visible()
    return page


def agree(dialog: Dialog) -> None:
    dialog.accept()


def test_an_image_is_created_watched_and_varied(sign_in: SignIn) -> None:
    reader = sign_in()
    page = make_picture(reader, "a red fox", Seed="42", Images="2")
    expect(page.locator("#print figure")).to_have_count(2)
    expect(page.locator("#print .facts").first).to_contain_text("42")
    expect(page.locator("#print .facts").first).to_contain_text("USD")
    expect(page.locator("#print .facts").first).to_contain_text("pass")
    assert reader.find_barriers() == []
    page.get_by_text("Use from curl or Python").click()
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert '"seed": 42' in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Same seed, new prompt").click()
    expect(page.get_by_label("Seed")).to_have_value("42")
    page.get_by_role("button", name="Repeat with a new seed").click()
    expect(page.get_by_label("Seed")).to_have_value("")
    page.get_by_role("button", name="Vary").first.click()
    expect(page.get_by_alt_text("Source image")).to_be_visible()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#print")).to_have_attribute("hx-get", re.compile("/console/generate/"))
    expect(page.locator("#print figure img")).to_have_count(1)


def test_the_form_enforces_the_limits_of_the_model_and_explains_errors(sign_in: SignIn) -> None:
    reader = sign_in()
    page = reader.open("/generate")
    width = page.get_by_label("Width")
    expect(width).to_have_attribute("max", "2048")
    page.get_by_role("button", name="Landscape").click()
    assert int(width.input_value()) > int(page.get_by_label("Height").input_value())
    page.get_by_label("Prompt", exact=True).fill("a fox")
    page.evaluate("document.getElementById('order').noValidate = true")
    width.fill("77")
    reader.expect_status(422)
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("width")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a fox")


def test_a_mask_is_painted_over_a_picture(sign_in: SignIn, tmp_path: Path) -> None:
    reader = sign_in("mona")
    file = tmp_path / "picture.png"
    file.write_bytes(encode(picture((128, 128))))
    page = reader.open("/generate")
    page.get_by_label("Prompt", exact=True).fill("a hat")
    page.get_by_label("Image", exact=True).set_input_files(file)
    canvas = page.locator("#mask")
    expect(canvas).to_be_visible()
    until(lambda: page.evaluate("document.getElementById('mask').width") == 128, "the picture")
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.up()
    page.get_by_label("Width").fill("128")
    page.get_by_label("Height").fill("128")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#print figure img")).to_be_visible()
    page.get_by_role("link", name="job …").click()
    expect(page.locator("h1")).to_have_text("a hat")
    answer = reader.ask("/v1/jobs?limit=1")
    assert answer["data"][0]["request"]["mask_image"] is not None


def test_the_overview_updates_without_a_reload(sign_in: SignIn, stack: Stack) -> None:
    reader = sign_in("flora")
    page = reader.open("/overview")
    expect(page.get_by_text("No active jobs")).to_be_visible()
    assert reader.find_barriers() == []
    order = {"prompt": "a slow one", "steps": 150, "width": 64, "height": 64}
    jobs = [reader.tell("/v1/jobs", order)["id"] for _ in range(2)]
    expect(page.get_by_role("link", name="a slow one").first).to_be_visible()
    expect(page.locator(".press .lane").first).to_contain_text("painted · 64 × 64")
    for job_id in jobs:
        reader.tell(f"/v1/jobs/{job_id}/cancel")


def test_jobs_are_found_canceled_and_tried_again(sign_in: SignIn) -> None:
    reader = sign_in("jo")
    make_picture(reader, "an owl by night")
    slow = {"prompt": "a slow snail", "steps": 150, "width": 64, "height": 64}
    reader.tell("/v1/jobs", slow)
    page = reader.open("/jobs")
    assert reader.find_barriers() == []
    page.get_by_label("Search").fill("snail")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.on("dialog", agree)
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Cancel selected").click()
    expect(page.get_by_text("The job was canceled.")).to_be_visible()
    expect(page.locator("tbody")).to_contain_text("canceled")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Retry selected").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="a slow snail").first.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".timeline")).to_contain_text("Canceled")
    page = reader.open("/jobs?words=owl")
    page.get_by_role("link", name="an owl by night").click()
    for words in ("Queued", "Claimed for attempt 1", "images checked", "Uploaded 1 of 1", "Succeeded"):
        expect(page.locator(".timeline")).to_contain_text(words)
    expect(page.get_by_role("region", name="Attempts")).to_contain_text("denoise")
    assert reader.find_barriers() == []


def test_images_are_filtered_compared_and_put_on_a_contact_sheet(sign_in: SignIn) -> None:
    reader = sign_in("gal")
    make_picture(reader, "a bicycle", Images="3")
    page = reader.open("/gallery")
    expect(page.locator(".print")).to_have_count(3)
    assert reader.find_barriers() == []
    for box in page.locator(".print input[type=checkbox]").all()[:2]:
        box.check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Contact sheet").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    page.get_by_role("button", name="Compare selected").click()
    expect(page.locator(".pane img")).to_have_count(2)
    page.locator(".pane").first.press("+")
    moved = page.evaluate("[...document.querySelectorAll('.pane img')].map(image => image.style.transform)")
    assert moved[0] == moved[1]
    assert "1.25" in moved[0]
    page = reader.open("/gallery")
    page.on("dialog", agree)
    page.locator(".print input[type=checkbox]").first.check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The image was deleted.")).to_be_visible()
    expect(page.locator(".print img")).to_have_count(2)
    page = reader.open("/gallery?status=blocked")
    expect(page.get_by_text("No matching images")).to_be_visible()


def test_costs_are_charted_and_downloaded(sign_in: SignIn) -> None:
    reader = sign_in("cora")
    make_picture(reader, "a coin")
    page = reader.open("/costs")
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.get_by_role("region", name="Costs by model")).to_contain_text("painted")
    assert reader.find_barriers() == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert Path(download.value.path()).read_text().startswith("group,jobs,attempts,images")
    page.get_by_role("link", name="Operator").click()
    expect(page.get_by_text("Full cost per image")).to_be_visible()
    assert reader.find_barriers() == []


def test_a_webhook_is_created_tested_and_deleted(sign_in: SignIn) -> None:
    reader = sign_in("hook")
    page = reader.open("/webhooks")
    page.get_by_label("URL").fill("https://hooks.example/pressroom")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.locator("#secret")).to_contain_text("whsec_")
    assert reader.find_barriers() == []
    page.get_by_role("button", name="Send test message").click()
    expect(page.locator("tbody")).to_contain_text("webhook.test")
    page.get_by_role("link", name="webhook.test").click()
    expect(page.get_by_text("Payload")).to_be_visible()
    assert reader.find_barriers() == []
    page.go_back()
    page.on("dialog", agree)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The webhook and its deliveries were deleted")).to_be_visible()


def test_a_key_is_created_shown_once_and_revoked(sign_in: SignIn) -> None:
    reader = sign_in("kim")
    page = reader.open("/keys")
    page.get_by_label("Name").fill("shop")
    page.get_by_role("button", name="Create key").click()
    key = page.locator("#key").text_content()
    assert key is not None
    assert key.startswith("prk_")
    assert reader.find_barriers() == []
    page = reader.open("/keys")
    assert key not in page.content()
    page.on("dialog", agree)
    page.get_by_role("row", name="shop").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="shop")).to_contain_text("revoked")


def test_models_are_shown_with_their_limits(sign_in: SignIn) -> None:
    reader = sign_in()
    page = reader.open("/models")
    expect(page.locator("article")).to_contain_text("multiples of 8")
    expect(page.locator("article")).to_contain_text("available")
    assert reader.find_barriers() == []


def test_actions_that_the_key_does_not_allow_are_hidden(sign_in: SignIn) -> None:
    reader = sign_in("looker", ("jobs:read",))
    page = reader.open("/overview")
    expect(page.get_by_role("navigation")).to_have_text(re.compile(r"Overview\s+Jobs\s+Gallery\s+Models"))
    expect(page.get_by_label("Operator")).to_have_count(0)
    page = reader.open("/jobs")
    expect(page.get_by_role("button", name="Generate an image")).to_have_count(0)
    reader.expect_status(403)
    reader.open("/generate")
    expect(page.locator("h1")).to_contain_text("does not have the required scope")


def test_an_image_can_be_created_with_the_keyboard_alone(sign_in: SignIn) -> None:
    page = sign_in("kay").open("/generate")
    page.keyboard.type("a key")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#print figure img")).to_be_visible()


def test_times_are_shown_in_the_readers_time_zone(sign_in: SignIn) -> None:
    reader = sign_in("tim", timezone_id="Asia/Tokyo")
    make_picture(reader, "a clock")
    page = reader.page
    page.get_by_role("link", name="job …").click()
    shown = page.locator(".timeline time").first
    expect(shown).not_to_contain_text("UTC")
    hour = page.evaluate("new Date(document.querySelector('.timeline time').dateTime).getUTCHours()")
    assert int(str(shown.text_content()).split(":")[0]) % 12 == (hour + 9) % 24 % 12


@pytest.mark.parametrize("path", ["/nothing-here", "/jobs/01a206df-29df-717a-b844-d5aa57ee2490"])
def test_a_missing_page_is_explained_in_plain_words(sign_in: SignIn, path: str) -> None:
    reader = sign_in()
    reader.expect_status(404)
    page = reader.open(path)
    expect(page.locator("h1")).to_contain_text(re.compile("not found", re.IGNORECASE))
    assert reader.find_barriers() == []
