"""Pages of other origins in a real browser.

Those of other ports of 127.0.0.1 are of Keyturn's site, as app.example.com is of
auth.example.com's; those of localhost are of another.
"""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page

from keyturn.auth.models import RefreshToken
from tests.browser.script import SUBMIT, cookie, log_in, send
from tests.support import pages
from tests.support.api import BOB
from tests.support.database import rows
from tests.support.server import Server


@pytest.fixture
def neighbours() -> Iterator[tuple[str, ...]]:
    """An origin of the same site, and one of another."""
    with pages.served() as port:
        yield f"http://127.0.0.1:{port}", f"http://localhost:{port}"


@pytest.fixture
def server(
    serve: Callable[..., Server], neighbours: tuple[str, ...], request: pytest.FixtureRequest
) -> Server:
    """A Keyturn that lists as many of them as the test says."""
    return serve(CORS_ORIGINS=",".join(neighbours[: request.param]))


@pytest.fixture
def base(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("server", [1], indirect=True)
def test_a_listed_page_of_the_same_site_logs_in_refreshes_and_logs_out(
    context: BrowserContext, page: Page, base: str, neighbours: tuple[str, ...]
) -> None:
    page.goto(neighbours[0])
    log_in(page, base)
    assert cookie(context) is not None
    answer = send(page, f"{base}/auth/refresh", headers={"Idempotency-Key": "k1"})
    assert answer["status"] == 200
    refused = send(page, f"{base}/users/me", method="GET")
    assert refused["headers"]["www-authenticate"] == 'Bearer realm="keyturn"'
    assert send(page, f"{base}/auth/logout", method="DELETE")["status"] == 204
    assert cookie(context) is None


@pytest.mark.parametrize("server", [2], indirect=True)
def test_a_listed_page_of_another_site_is_told_that_cookies_are_not_for_it(
    page: Page, base: str, neighbours: tuple[str, ...]
) -> None:
    page.goto(neighbours[1])
    refused = send(page, f"{base}/auth/login", {**BOB, "transport": "cookie"})
    assert (refused["status"], refused["json"]["code"]) == (403, "origin_not_allowed")
    assert "refreshToken" in send(page, f"{base}/auth/login", BOB)["json"]


@pytest.mark.parametrize("server", [0], indirect=True)
def test_a_page_that_is_not_listed_neither_reads_nor_acts(
    context: BrowserContext, page: Page, base: str, neighbours: tuple[str, ...], app: Flask
) -> None:
    page.goto("/livez")
    log_in(page)
    before = cookie(context)
    for origin in neighbours:
        for url in (f"{base}/auth/refresh", f"{base}/auth/logout"):
            page.goto(origin)
            assert send(page, url) == {"failed": "TypeError"}
            # Sent all the same, and of the same site with the cookie; the answer is hidden.
            assert send(page, url, mode="no-cors")["type"] == "opaque"
            with page.expect_navigation():
                page.evaluate(SUBMIT, url)
    assert cookie(context) == before
    (login,) = rows(app, RefreshToken)
    assert (login.generation, login.revoked_at) == (0, None)
