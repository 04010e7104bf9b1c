"""Two tabs of a real browser: they share the cookie of a login, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page

from keyturn.auth.models import RefreshToken
from tests.browser.script import SEND, cookie, log_in, send
from tests.support.database import rows
from tests.support.server import Server

Tabs = tuple[Page, Page]


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(app="tests.support.together:app", WEB_CONCURRENCY=1)


@pytest.fixture
def tabs(context: BrowserContext) -> Tabs:
    """Two tabs on Keyturn's own origin, one of which has logged in."""
    tabs = context.new_page(), context.new_page()
    for tab in tabs:
        tab.goto("/livez")
    log_in(tabs[0])
    return tabs


def me(tab: Page, access_token: str) -> int:
    """The status a tab gets with its access token."""
    headers = {"Authorization": f"Bearer {access_token}"}
    return int(send(tab, "/users/me", method="GET", headers=headers)["status"])


def start_refresh(tab: Page, **headers: str) -> None:
    """Begin a refresh that waits at the gate for another one."""
    arguments = ["/auth/refresh?together", {"headers": headers}]
    tab.evaluate(f"(args) => {{ window.refreshed = ({SEND})(args); }}", arguments)


def refreshed(tab: Page) -> dict[str, Any]:
    """What the page sees of the answer to the refresh that began."""
    answer = dict(tab.evaluate("window.refreshed"))
    assert answer["status"] == 200, answer
    assert "refreshToken" not in answer["json"]
    return dict(answer["json"])


def test_two_tabs_that_refresh_at_once_stay_logged_in(
    tabs: Tabs, context: BrowserContext, app: Flask
) -> None:
    unspent = cookie(context)
    for tab in tabs:
        start_refresh(tab)
    for tab in tabs:
        assert me(tab, refreshed(tab)["accessToken"]) == 200
    assert cookie(context) != unspent
    (login,) = rows(app, RefreshToken)
    assert (login.generation, login.replays, login.revoked_at) == (1, 1, None)
    for tab in tabs:
        assert send(tab, "/auth/refresh")["status"] == 200


def test_two_tabs_with_keys_of_their_own_keep_the_cookie(
    tabs: Tabs, context: BrowserContext, app: Flask
) -> None:
    unspent = cookie(context)
    for number, tab in enumerate(tabs):
        start_refresh(tab, **{"Idempotency-Key": f"tab-{number}"})
    answers = [refreshed(tab) for tab in tabs]
    assert sorted("refreshExpiresIn" in answer for answer in answers) == [False, True]
    for tab, answer in zip(tabs, answers, strict=True):
        assert me(tab, answer["accessToken"]) == 200
    assert cookie(context) != unspent
    assert rows(app, RefreshToken)[0].generation == 1
    assert send(tabs[1], "/auth/refresh")["status"] == 200


def test_logout_in_one_tab_ends_both(tabs: Tabs, context: BrowserContext) -> None:
    first, second = tabs
    access_token = send(second, "/auth/refresh")["json"]["accessToken"]
    assert send(first, "/auth/logout", method="DELETE")["status"] == 204
    assert cookie(context) is None
    assert me(second, access_token) == 401
    assert send(second, "/auth/refresh")["json"]["code"] == "refresh_missing"
    assert send(second, "/auth/logout")["status"] == 204
