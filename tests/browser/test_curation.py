"""Styles and the review of blocked prints: their main tasks, and how they look by day, by night and on a phone.

The screenshots land in docs/img when PRESSROOM_SCREENSHOTS names that folder.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.readers import PHONE, Reader
from tests.browser.test_tasks import agree
from tests.functional.backends import Embedded
from tests.functional.stack import QUICK, Stack, running

pytestmark = pytest.mark.timeout(300)

CHOSEN = os.environ.get("PRESSROOM_SCREENSHOTS", "")
KEPT = QUICK | {"PRESSROOM_CHECKER": "open_nsfw", "PRESSROOM_QUARANTINE": "keep"}
DONKEY = {"prompt": "a donkey", "width": 256, "height": 256, "steps": 2}
LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "phone": PHONE}
SPRING = {"name": "spring", "prompt_prefix": "a watercolour of", "prompt_suffix": ", soft light", "width": 256}
SPRING |= {"height": 256, "steps": 4, "palette": ["#f2a65a", "#7fb069", "#e8f1f2", "#3a6ea5"]}

SignIn = Callable[..., Reader]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack that keeps what is blocked; its brush can paint what the check takes for nudity."""
    with running(Embedded(), settings=KEPT) as started:
        yield started


def test_blocked_images_are_viewed_released_and_confirmed(sign_in: SignIn, stack: Stack) -> None:
    reader = sign_in()
    stack.settle([reader.tell("/v1/jobs", DONKEY)["id"] for _ in range(2)])
    page = reader.open("/review")
    expect(page.locator(".print img")).to_have_count(2)
    expect(page.locator(".print img").first).to_have_js_property("complete", True)
    assert reader.find_barriers() == []
    page.locator(".print a.frame").first.click()
    expect(page.locator(".timeline")).to_contain_text("previewed")
    assert reader.find_barriers() == []
    page.get_by_label("Note").fill("a donkey")
    page.on("dialog", agree)
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_text("The image was delivered to its owner")).to_be_visible()
    expect(page.locator(".print")).to_have_count(1)
    page.locator(".print a.frame").click()
    page.get_by_role("button", name="Confirm block").click()
    expect(page.get_by_text("Nothing to review")).to_be_visible()
    page.get_by_label("State").select_option("released")
    page.get_by_role("button", name="Show").click()
    page.locator(".print a.frame").click()
    expect(page.locator(".timeline")).to_contain_text("a donkey")


def test_a_style_is_created_used_and_changed(sign_in: SignIn, stack: Stack) -> None:
    reader = sign_in("mona")
    page = reader.open("/styles")
    page.get_by_role("link", name="Create your first style").click()
    page.get_by_label("Name").fill("spring")
    page.get_by_label("Prompt suffix").fill(", soft light")
    page.get_by_label("Steps").fill("3")
    page.get_by_label("Use colour 1").check()
    page.get_by_label("Colour 1", exact=True).fill("#ff8800")
    assert reader.find_barriers() == []
    page.get_by_role("button", name="Save style").click()
    expect(page.get_by_role("img", name="Palette: #ff8800")).to_be_visible()
    page = reader.open("/generate")
    page.get_by_label("Prompt", exact=True).fill("a fox")
    page.get_by_label("Style").select_option("spring")
    expect(page.get_by_text("override the fields on this form")).to_be_visible()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#print figure img")).to_be_visible()
    page = reader.open("/styles/spring")
    expect(page.get_by_text("a fox, soft light")).to_be_visible()
    page.get_by_role("button", name="New version").click()
    expect(page.get_by_label("Use colour 1")).to_be_checked()
    page.get_by_label("Steps").fill("4")
    page.get_by_role("button", name="Save style").click()
    expect(page.get_by_role("link", name="spring@2")).to_be_visible()
    reader.open("/styles/spring").get_by_role("link", name="View all images in this style").click()
    expect(page.locator(".print")).to_have_count(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots go."""
    return Path(CHOSEN).absolute() if CHOSEN else tmp_path_factory.mktemp("img")


@pytest.fixture(scope="module")
def pages(stack: Stack, browser: Browser) -> tuple[Reader, dict[str, str]]:
    """An owner with styles and blocked images, and the path of each page by its name."""
    reader = Reader.signed_in(browser, stack, "rita")
    for style in (SPRING, SPRING | {"steps": 5}, {"name": "plain", "negative_prompt": "text, watermarks"}):
        reader.tell("/v1/styles", style)
    subjects = ("a lighthouse", "a fox in the snow", "a bicycle", "an owl by night")
    bodies = [{"prompt": subject, "style": "spring"} for subject in subjects]
    jobs = [
        reader.tell("/v1/jobs", fields)["id"] for fields in [*bodies, *[DONKEY | {"seed": seed} for seed in range(5)]]
    ]
    stack.settle(jobs)
    blocked = reader.ask(f"/v1/jobs/{jobs[-1]}")["images"][0]["id"]
    paths = {"styles": "/styles", "style": "/styles/spring", "style-form": "/styles/new?of=spring"}
    return reader, paths | {"review": "/review", "review-print": f"/review/{blocked}"}


@pytest.mark.parametrize("look", LOOKS)
def test_the_review_and_style_pages_are_accessible_and_log_no_errors(
    look: str, browser: Browser, stack: Stack, pages: tuple[Reader, dict[str, str]], folder: Path
) -> None:
    """Nothing in the console of the browser, nothing that axe holds against a page, nothing beside the screen."""
    reader, paths = pages
    another = Reader.arrive(browser, stack.settings.base_url, reader.key, **LOOKS[look])
    another.context.add_cookies(reader.context.cookies())
    for name, path in paths.items():
        page = another.open(path)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}-{look}.png")
        assert another.find_barriers() == [], name
        width = page.viewport_size["width"] if page.viewport_size else 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than a {look}"
    another.close()
