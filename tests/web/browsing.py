"""A real browser, and what it saw: requests, breaches of the policy, errors."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
TIMEOUT_MS = 60_000
# The page's own report of what its policy refused, whatever the console says of it.
BREACHES = (
    "addEventListener('securitypolicyviolation', (e) => console.error('BREACH', e.violatedDirective, e.blockedURI))"
)


def find_chromium() -> str | None:
    """Where a Chromium is: STERNA_CHROMIUM, or on the path."""
    return os.environ.get("STERNA_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    assert path is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS), timeout=2 * TIMEOUT_MS)
        yield browser
        browser.close()


@dataclass
class Seen:
    """What a page did.

    Attributes:
        hosts: that it asked anything.
        errors: exceptions that nobody caught, and breaches of the policy.
        console: warnings and errors.
    """

    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self._ask(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._hear)

    def _ask(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"}:
            self.hosts.add(parts.hostname or url)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.console.append(message.text)
        if "BREACH" in message.text or "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def check(self) -> None:
        assert self.errors == []
        assert self.hosts <= {"127.0.0.1"}


@contextmanager
def opened(browser: Browser, **options) -> Iterator[Page]:
    """A page in a profile of its own, which at its end has asked nobody else and broken no rule."""
    seen = Seen()
    options = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"} | options
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(BREACHES)
    context.on("page", seen.watch)
    page = context.new_page()
    try:
        yield page
        seen.check()
    finally:
        # A request that a test answers itself may be under way: without this it would fail in the test that comes next.
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")
        context.close()


MODULE = "import(document.querySelector('script[type=module]').src.replace('main.js', {name!r}))"


def imported(name: str, call: str) -> str:
    """A script that calls something of a module of the page with the argument `given`."""
    return f"async (given) => {{ const module = await {MODULE.format(name=name)}; return await ({call}); }}"


def until(page: Page, script: str) -> None:
    """Waits for an expression to hold. Playwright's own way evaluates strings, which the page's policy forbids."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not page.evaluate(script):
        assert time.monotonic() < deadline, script
        page.wait_for_timeout(50)
