"""A real Chromium, which notes every request to elsewhere and everything a page complains of."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.parts import need
from tests.support.server import Server

LONGEST = 60_000  # milliseconds; a bound, not an expectation
expect.set_options(timeout=LONGEST)

# Root has no sandbox; and the browser itself is to ask nobody for anything.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = need("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    """A Keyturn for the browser to visit."""
    return serve()


@pytest.fixture
def neighbours() -> tuple[str, ...]:
    """Other origins that a test visits on purpose."""
    return ()


@pytest.fixture
def profile() -> dict[str, Any]:
    """What else a browser of its own is like."""
    return {}


@pytest.fixture
def context(
    browser: Browser, server: Server, neighbours: tuple[str, ...], profile: dict[str, Any]
) -> Iterator[BrowserContext]:
    """A profile of its own: cookies and all. It fails a test whose pages complained."""
    origin = f"http://127.0.0.1:{server.port}"
    faults: list[str] = []
    context = browser.new_context(base_url=origin, **profile)
    context.set_default_timeout(LONGEST)

    def note_request(url: str) -> None:
        if not url.startswith((origin, *neighbours, "data:", "blob:")):
            faults.append(f"request to elsewhere: {url}")

    context.on("request", lambda request: note_request(request.url))
    context.on("weberror", lambda error: faults.append(str(error.error)))
    # Chromium tells a violation of the Content-Security-Policy on the console.
    context.on(
        "console",
        lambda message: (
            faults.append(message.text)
            if message.type == "error" and "Security Policy" in message.text
            else None
        ),
    )
    yield context
    context.close()
    assert faults == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
