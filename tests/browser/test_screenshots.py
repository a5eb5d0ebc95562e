"""Every page as readers see it, by day, by night and on a phone, with pictures of the starter model.

The screenshots land in docs/img when PRESSROOM_SCREENSHOTS names that folder; else they are made and looked through all
the same, for what axe finds, what the browser complains of, and what does not fit a phone.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.campaign_pages import print_campaigns
from tests.browser.readers import PHONE, Reader
from tests.functional.backends import Embedded
from tests.functional.stack import Stack, running

pytestmark = pytest.mark.timeout(900)

CHOSEN = os.environ.get("PRESSROOM_SCREENSHOTS", "")
SUBJECTS = (
    *("a red fox in the snow", "a lighthouse by night", "an owl", "a rocket", "a red apple", "a sailing boat"),
    *("a hot air balloon", "a slice of cake", "a snowman", "a bicycle", "a violin", "a green frog"),
)
STARTER = {"PRESSROOM_BEAT_SECONDS": "0.3", "PRESSROOM_TICK_SECONDS": "0.1", "PRESSROOM_GPU_PRICE_PER_HOUR": "0.60"}
LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "phone": PHONE}
PRINTING_SECONDS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots go."""
    return Path(CHOSEN).absolute() if CHOSEN else tmp_path_factory.mktemp("img")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack with the starter model."""
    with running(Embedded(), settings=STARTER, patience_seconds=PRINTING_SECONDS) as started:
        yield started


@pytest.fixture(scope="module")
def pages(stack: Stack, reader: Reader) -> dict[str, str]:
    """The path of each page by its name, with pictures printed, one job canceled and some work left."""
    orders = [{"prompt": subject, "num_images": 2 if place < 2 else 1} for place, subject in enumerate(SUBJECTS)]
    jobs = [reader.tell("/v1/jobs", order)["id"] for order in orders]
    canceled = reader.tell("/v1/jobs", {"prompt": "a second thought"})["id"]
    reader.tell(f"/v1/jobs/{canceled}/cancel")
    webhook = reader.tell("/v1/webhooks", {"url": "https://hooks.example/pressroom", "description": "The shop"})["id"]
    reader.tell(f"/v1/webhooks/{webhook}/test")
    stack.settle(jobs, PRINTING_SECONDS)
    campaigns = print_campaigns(reader)
    first = reader.ask(f"/v1/jobs/{jobs[0]}")["images"]
    for _ in range(6):
        reader.tell("/v1/jobs", {"prompt": "a kite over the sea", "num_images": 4, "priority": "bulk", "steps": 40})
    return {
        "overview": "/overview",
        "generate": f"/generate?job={jobs[1]}",
        "jobs": "/jobs",
        "job": f"/jobs/{jobs[0]}",
        "gallery": "/gallery",
        "compare": "/gallery/compare?" + "&".join(f"image={image['id']}" for image in first),
        **campaigns,
        "costs": "/costs",
        "operator-costs": "/costs/operator",
        "webhooks": "/webhooks",
        "webhook": f"/webhooks/{webhook}",
        "models": "/models",
        "keys": "/keys",
        "audit": "/audit",
    }


@pytest.fixture(scope="module")
def reader(browser: Browser, stack: Stack) -> Iterator[Reader]:
    """An operator who also has images."""
    signed_in = Reader.signed_in(browser, stack, "ada")
    yield signed_in
    signed_in.close()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_accessible_and_logs_no_errors(
    look: str, browser: Browser, stack: Stack, reader: Reader, pages: dict[str, str], folder: Path
) -> None:
    """Nothing in the console of the browser, nothing that axe holds against a page, nothing beside the screen."""
    another = Reader.arrive(browser, stack.settings.base_url, reader.key, **LOOKS[look])
    another.open("/sign-in").screenshot(path=folder / f"sign-in-{look}.png")
    assert another.find_barriers() == []
    another.context.add_cookies(reader.context.cookies())
    for name, path in pages.items():
        page = another.open(path)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}-{look}.png")
        assert another.find_barriers() == [], name
        width = page.viewport_size["width"] if page.viewport_size else 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than a {look}"
    another.close()
