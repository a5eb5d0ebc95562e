"""Somebody in front of the console: opens its pages, and notes whatever they do wrong."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request

from common.access import keys
from common.access.keys import Scope
from tests.functional.stack import Stack

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
AXE = Path(__file__).parent / "vendor" / "axe-core@4.14.1" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SERIOUS = ("serious", "critical")
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
PLACE = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
DESK = {"viewport": {"width": 1280, "height": 860}}


def launch(playwright: Playwright) -> Browser:
    """Start the browser of the system: no other is fetched."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])


@dataclass
class Reader:
    """A reader with a page of their own."""

    context: BrowserContext
    page: Page
    url: str
    key: str
    faults: list[str] = field(default_factory=list)
    expected: list[int] = field(default_factory=list)
    """Statuses of errors that the test brings about itself."""

    @classmethod
    def arrive(cls, browser: Browser, url: str, key: str, **looks: Any) -> Self:
        """Return a reader who has not signed in."""
        context = browser.new_context(**(DESK | PLACE | looks))
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(30_000)
        reader = cls(context, page, url, key)
        page.on("console", reader._hear)
        page.on("pageerror", lambda error: reader.faults.append(f"error: {error}"))
        page.on("request", reader._follow)
        return reader

    @classmethod
    def signed_in(
        cls, browser: Browser, stack: Stack, owner: str, scopes: tuple[str, ...] | None = None, **looks: Any
    ) -> Self:
        """Return a reader who has signed in with a new key of *owner*; by default one that may do everything."""
        wanted = tuple(Scope) if scopes is None else tuple(map(Scope, scopes))
        with stack.database.transaction() as session:
            key = keys.create_api_key(session, owner, scopes=wanted)
        reader = cls.arrive(browser, stack.settings.base_url, key, **looks)
        reader.sign_in()
        return reader

    def sign_in(self) -> None:
        """Sign in with the reader's key."""
        self.open("/sign-in")
        self.page.get_by_label("API key").fill(self.key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "sign-in" not in url)

    def open(self, path: str) -> Page:
        """Open a page of the console."""
        self.page.goto(f"{self.url}/console{path}")
        return self.page

    def find_barriers(self) -> list[str]:
        """Return what axe finds on the page that would keep readers out."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("rules => axe.run({runOnly: rules})", RULES)
        return [
            f"{each['id']}: {[node['target'] for node in each['nodes']]} {each['nodes'][0]['failureSummary']}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
        ]

    def expect_status(self, status: int) -> None:
        """Take the browser's own word about answers with this status for no fault of the page."""
        self.expected.append(status)

    def ask(self, path: str) -> Any:
        """Return what the api answers to the reader's key."""
        return self._send("GET", path, None)

    def tell(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Post to the api with the reader's key, and return its answer."""
        return self._send("POST", path, body)

    def close(self) -> None:
        """Leave; fail if a page did something wrong."""
        self.context.close()
        assert self.faults == [], self.faults

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx2.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=60, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def _hear(self, message: ConsoleMessage) -> None:
        is_expected = any(f"status of {status}" in message.text for status in self.expected)
        if message.type in ("error", "warning") and not is_expected:
            self.faults.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _follow(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname != "127.0.0.1":
            self.faults.append(f"asked {request.url}")
