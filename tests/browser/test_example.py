"""The code that docs/browser.md gives to pages, in a real browser."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Error, Page

from keyturn.auth.models import RefreshToken
from tests.browser.script import cookie
from tests.support.database import rows
from tests.support.server import ROOT, Server

(SCRIPT,) = re.findall(r"```js\n(.+?)```", (ROOT / "docs/browser.md").read_text(), re.DOTALL)

LOGIN = "login('bob@gmail.com', 'bobPass')"
ME = "call('/users/me').then((answer) => answer.json())"


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    # Without a grace, only the key brings a lost answer back.
    return serve(app="tests.support.dying:app", REFRESH_GRACE=0)


@pytest.fixture
def neighbours(server: Server) -> tuple[str, ...]:
    """Keyturn by its other name."""
    return (f"http://localhost:{server.port}",)


def load(page: Page, base: str = "") -> None:
    """Load a page that has the script."""
    page.goto(f"{base}/livez")
    page.add_script_tag(content=SCRIPT)


def test_a_page_that_is_loaded_anew_is_still_logged_in(page: Page) -> None:
    load(page)
    assert page.evaluate(LOGIN) is True
    assert page.evaluate(ME)["name"] == "Bob"
    load(page)
    assert page.evaluate("accessToken") is None
    assert page.evaluate(ME)["name"] == "Bob"
    page.evaluate("logout()")
    assert page.evaluate(ME)["code"] == "invalid_token"
    assert page.evaluate("refresh()") is False


def test_a_page_survives_a_lost_answer(page: Page, context: BrowserContext, app: Flask) -> None:
    load(page)
    page.evaluate(LOGIN)
    unspent = cookie(context)
    page.set_extra_http_headers({"X-Die": "yes"})
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate("refresh()")
    page.set_extra_http_headers({})
    assert cookie(context) == unspent
    assert rows(app, RefreshToken)[0].generation == 1
    load(page)
    assert page.evaluate("refresh()") is True
    assert page.evaluate("'refreshKey' in localStorage") is False
    assert rows(app, RefreshToken)[0].generation == 1
    assert page.evaluate("refresh()") is True


def test_the_cookie_is_kept_on_localhost_too(
    page: Page, context: BrowserContext, neighbours: tuple[str, ...]
) -> None:
    load(page, neighbours[0])
    page.evaluate(LOGIN)
    assert cookie(context) is not None
    assert page.evaluate("refresh()") is True
