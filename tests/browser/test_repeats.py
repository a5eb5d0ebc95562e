"""What a reader ticked, painted and typed is there on the next run, and what went wrong is told in a sentence."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from common.models import catalog
from common.models.catalog import AdapterCard
from tests.browser.readers import Reader
from tests.functional.backends import Embedded
from tests.functional.stack import QUICK, Stack, running
from tests.support.picture_files import encode, picture
from tests.support.waiting import until

SignIn = Callable[..., Reader]
PAGE_OF_A_PROXY = "<html><body><h1>502 Bad Gateway</h1></body></html>"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack with a painted model that is said to take two LoRAs, and fails jobs that do."""
    adapters = [AdapterCard(name=name, title=name) for name in ("ink", "oil.paint")]
    with running(Embedded(), settings=QUICK) as started:
        with started.database.transaction() as session:
            catalog.register_models(session, [catalog.PAINTED_CARD.model_copy(update={"adapters": adapters})])
        yield started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(encode(picture((128, 128))))
    return path


def submit(page: Page) -> None:
    before = page.url
    page.get_by_role("button", name="Generate", exact=True).click()
    page.wait_for_url(lambda url: url != before and "job=" in url)


def generate(page: Page) -> None:
    submit(page)
    expect(page.locator("#print figure img").first).to_be_visible()


def read_newest_request(reader: Reader) -> dict[str, object]:
    request: dict[str, object] = reader.ask("/v1/jobs?limit=1")["data"][0]["request"]
    return request


def paint(page: Page) -> None:
    page.locator("#mask").scroll_into_view_if_needed()
    box = page.locator("#mask").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.up()


def count_painted(page: Page) -> int:
    return int(
        page.evaluate(
            """() => {
                const mask = document.getElementById("mask"), copy = document.createElement("canvas");
                copy.width = mask.width;
                copy.height = mask.height;
                const pen = copy.getContext("2d");
                pen.drawImage(mask, 0, 0);
                const { data } = pen.getImageData(0, 0, copy.width, copy.height);
                return data.filter((value, place) => place % 4 === 3 && value > 127).length;
            }"""
        )
    )


def test_a_lora_that_was_ticked_is_ticked_on_the_next_run(sign_in: SignIn) -> None:
    reader = sign_in("lora")
    page = reader.open("/generate")
    page.get_by_label("Prompt", exact=True).fill("a fox")
    page.get_by_label("Width").fill("128")
    page.get_by_label("Height").fill("128")
    page.get_by_label("Guidance").fill("4.35")
    page.get_by_label("Scheduler").select_option("ddim")
    rows = page.locator(".adapter")
    expect(rows).to_have_count(2)
    for place, scale in enumerate(("0.33", "")):
        rows.nth(place).get_by_role("checkbox").check()
        rows.nth(place).get_by_label("Strength").fill(scale)
    assert reader.find_barriers() == []
    submit(page)
    first = read_newest_request(reader)
    assert first["adapters"] == [{"name": "ink", "scale": 0.33}, {"name": "oil.paint", "scale": 1.0}]
    expect(page.get_by_role("button", name="Repeat with a new seed")).to_be_visible()
    page.get_by_role("button", name="Repeat with a new seed").click()
    expect(rows.nth(0).get_by_role("checkbox")).to_be_checked()
    expect(rows.nth(0).get_by_label("Strength")).to_have_value("0.33")
    expect(page.get_by_label("Scheduler")).to_have_value("ddim")
    rows.nth(1).get_by_role("checkbox").uncheck()
    submit(page)
    second = read_newest_request(reader)
    assert second["adapters"] == [{"name": "ink", "scale": 0.33}]
    left = ("adapters", "seed")
    assert {name: value for name, value in second.items() if name not in left} == {
        name: value for name, value in first.items() if name not in left
    }


def test_a_mask_is_shown_kept_and_cleared_on_the_next_run(sign_in: SignIn, file: Path) -> None:
    reader = sign_in("mask")
    page = reader.open("/generate")
    page.get_by_label("Prompt", exact=True).fill("a hat")
    page.get_by_label("Width").fill("128")
    page.get_by_label("Height").fill("128")
    page.get_by_label("Image", exact=True).set_input_files(file)
    until(lambda: page.evaluate("document.getElementById('mask').width") == 128, "the picture")
    paint(page)
    page.locator(".start").get_by_label("Strength").fill("0.55")
    generate(page)
    first = read_newest_request(reader)
    assert first["mask_image"] is not None
    page.get_by_role("button", name="Same seed, new prompt").click()
    until(lambda: count_painted(page) > 100, "the mask of the earlier run")
    generate(page)
    second = read_newest_request(reader)
    assert second == first
    page.get_by_role("button", name="Clear mask").click()
    generate(page)
    until(lambda: read_newest_request(reader)["mask_image"] is None, "a run without a mask")
    assert read_newest_request(reader)["init_image"] == first["init_image"]
    assert read_newest_request(reader)["strength"] == 0.55


def test_a_file_that_is_no_picture_is_told_in_a_sentence(sign_in: SignIn, tmp_path: Path) -> None:
    reader = sign_in("nopic")
    wrong = tmp_path / "letter.png"
    wrong.write_text("dear reader")
    page = reader.open("/generate")
    reader.expect_status(422)
    page.get_by_label("Image", exact=True).set_input_files(wrong)
    fault = page.locator(".start .fault")
    expect(fault).to_contain_text("image")
    expect(fault).not_to_contain_text("JSON")
    page = reader.open("/campaigns/new")
    page.locator("input[data-picture]").set_input_files(wrong)
    expect(page.locator(".fallback small")).to_contain_text("image")
    expect(page.locator(".fallback small")).not_to_contain_text("JSON")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (502, PAGE_OF_A_PROXY, "The service is not available right now."),
        (413, PAGE_OF_A_PROXY, "The file is too large."),
        (200, PAGE_OF_A_PROXY, "The server sent an answer that this page cannot read."),
        (418, "", "The server answered with the error 418."),
    ],
)
def test_an_answer_that_is_not_of_the_service_is_told_in_a_sentence(
    sign_in: SignIn, file: Path, status: int, body: str, told: str
) -> None:
    reader = sign_in("proxy")
    reader.expect_status(status)
    page = reader.open("/generate")

    def answer(route: Route) -> None:
        route.fulfill(status=status, body=body, content_type="text/html")

    page.route("**/generate/pictures", answer)
    page.get_by_label("Image", exact=True).set_input_files(file)
    expect(page.locator(".start .fault")).to_contain_text(told)


def test_a_session_that_ended_is_told_beside_the_upload(sign_in: SignIn, file: Path) -> None:
    reader = sign_in("ended")
    page = reader.open("/generate")
    page.get_by_label("Prompt", exact=True).fill("a long story")
    reader.context.clear_cookies()
    reader.expect_status(401)
    page.get_by_label("Image", exact=True).set_input_files(file)
    expect(page.locator(".start .fault")).to_contain_text("Your session has ended.")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a long story")


def test_the_page_of_a_proxy_never_takes_the_place_of_a_live_part(sign_in: SignIn) -> None:
    reader = sign_in("live")
    reader.tell("/v1/jobs", {"prompt": "a slow snail", "steps": 150, "width": 64, "height": 64})
    page = reader.open("/jobs?words=snail")
    page.get_by_role("link", name="a slow snail").click()
    reader.expect_status(502)

    def answer(route: Route) -> None:
        route.fulfill(status=502, body=PAGE_OF_A_PROXY, content_type="text/html")

    page.route("**/now", answer)
    expect(page.get_by_role("alert")).to_contain_text("The service is not available right now.")
    expect(page.locator("#job h1")).to_contain_text("a slow snail")
    expect(page.get_by_text("Bad Gateway")).to_have_count(0)
    page.unroute("**/now")
    expect(page.get_by_role("alert")).to_have_count(0, timeout=20_000)


def test_a_refused_form_shows_its_errors_at_their_fields(sign_in: SignIn) -> None:
    reader = sign_in("fields")
    reader.expect_status(422)
    page = reader.open("/campaigns/new")
    page.get_by_label("Name", exact=True).fill("Spring")
    page.get_by_label("Prompt template").fill("a card for {{ name")
    page.get_by_label("Budget in USD").fill("12")
    page.get_by_role("button", name="Continue to recipients").click()
    expect(page.get_by_role("alert")).to_contain_text("template prompt")
    expect(page.locator("textarea[name=prompt]")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("textarea[name=prompt]")).to_have_value("a card for {{ name")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Spring")
    assert reader.find_barriers() == []
