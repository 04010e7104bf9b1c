"""The refresh token as a cookie: how it is set, read, cleared, and from whom it is taken."""

from collections.abc import Callable
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from keyturn.auth import rotation
from keyturn.auth.judgement import MAX_REPLAYS
from keyturn.auth.models import RefreshToken
from keyturn.http.cookies import DEVICE_TOKEN, REFRESH_TOKEN
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.database import execute, rows

ORIGIN = "http://127.0.0.1:8000"  # of the default ISSUER


class Page:
    """What a page of one origin does, in a browser that keeps its cookies."""

    def __init__(self, client: FlaskClient, origin: str | None = ORIGIN) -> None:
        self.client = client
        self.origin = origin

    def login(self, user: dict[str, str] = BOB, /, **headers: str) -> TestResponse:
        return self.send("/auth/login", {**user, "transport": "cookie"}, **headers)

    def refresh(self, json: Any = None, **headers: str) -> TestResponse:
        return self.send("/auth/refresh", json, **headers)

    def logout(self, json: Any = None, method: str = "POST", **headers: str) -> TestResponse:
        return self.send("/auth/logout", json, method, **headers)

    def send(
        self, path: str, json: Any = None, method: str = "POST", **headers: str
    ) -> TestResponse:
        if self.origin is not None:
            headers["Origin"] = self.origin
        return self.client.open(path, method=method, json=json, headers=headers)

    @property
    def cookie(self) -> str | None:
        """What the browser has; the page itself cannot see it."""
        kept = self.client.get_cookie(REFRESH_TOKEN.name, path="/auth")
        return kept.value if kept else None

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie(REFRESH_TOKEN.name, value, path="/auth")


@pytest.fixture
def page(client: FlaskClient) -> Page:
    return Page(client)


def set_cookie(response: TestResponse) -> "Morsel[str]":
    """The one cookie that an answer sets, besides a login's device token."""
    (morsel,) = (one for one in set_cookies(response) if one.key != DEVICE_TOKEN.name)
    return morsel


def set_cookies(response: TestResponse) -> "list[Morsel[str]]":
    headers = response.headers.getlist("Set-Cookie")
    return [morsel for header in headers for morsel in SimpleCookie(header).values()]


def assert_cleared(response: TestResponse) -> None:
    cookie = set_cookie(response)
    assert (cookie.key, cookie.value, cookie["max-age"]) == (REFRESH_TOKEN.name, "", "0")
    assert (cookie["path"], cookie["secure"], cookie["samesite"]) == ("/auth", True, "Strict")


def assert_untouched(response: TestResponse) -> None:
    assert "Set-Cookie" not in response.headers


# --- login ----------------------------------------------------------------------------------------


def test_a_login_for_pages_puts_the_refresh_token_into_a_cookie_alone(page: Page) -> None:
    response = page.login()
    assert response.get_json().keys() == {
        "accessToken",
        "expiresIn",
        "refreshExpiresIn",
        "tokenType",
    }
    cookie = set_cookie(response)
    assert cookie.key == "__Secure-keyturn-refresh"
    assert cookie.value not in response.text
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Strict")
    assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/auth", "", "1209600")


def test_a_login_for_pages_puts_the_device_token_into_a_cookie_alone(page: Page) -> None:
    response = page.login()
    (cookie,) = (one for one in set_cookies(response) if one.key == DEVICE_TOKEN.name)
    assert cookie.key == "__Secure-keyturn-device"
    assert cookie.value not in response.text
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Strict")
    assert (cookie["path"], cookie["max-age"]) == ("/auth/login", "34560000")


def test_a_browser_that_logged_in_before_is_not_locked_out_by_others(
    settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    settings["THROTTLE_ACCOUNT"] = "1/3600"
    app = request.getfixturevalue("app")
    owner, attacker = Page(app.test_client()), Page(app.test_client())
    owner.login()
    owner.logout()
    wrong = {**BOB, "password": "wrong"}
    assert_problem(attacker.login(wrong), 401, "invalid_credentials")
    assert_problem(attacker.login(), 429, "too_many_attempts")
    assert owner.login().status_code == 200


def test_the_cookie_does_not_outlive_the_login(settings: dict[str, str], request: Any) -> None:
    settings["REFRESH_ABSOLUTE_TTL"] = "3600"
    page = Page(request.getfixturevalue("app").test_client())
    assert set_cookie(page.login())["max-age"] == "3600"


@pytest.mark.parametrize("transport", [{}, {"transport": "json"}])
def test_the_json_way_is_the_default_and_sets_no_cookie(
    api: Api, transport: dict[str, str]
) -> None:
    response = api.login({**BOB, **transport})
    assert "refreshToken" in response.get_json()
    assert_untouched(response)


@pytest.mark.parametrize("transport", ["header", "", None, ["cookie"]])
def test_no_other_transport_is_known(api: Api, transport: Any) -> None:
    problem = assert_problem(api.login({**BOB, "transport": transport}), 422, "validation_failed")
    assert problem["errors"].keys() == {"transport"}


def test_a_failed_login_sets_no_cookie(page: Page) -> None:
    response = page.login({**BOB, "password": "wrong"})
    assert_problem(response, 401, "invalid_credentials")
    assert_untouched(response)


def test_a_new_login_ends_the_one_whose_cookie_it_replaces(page: Page, app: Flask) -> None:
    first = page.login().get_json()["accessToken"]
    second = page.login(JOHN).get_json()["accessToken"]
    api = Api(app.test_client())
    assert_problem(api.me(first), 401, "token_revoked")
    assert api.me(second).get_json()["name"] == "John"
    assert sorted(str(login.revoked_reason) for login in rows(app, RefreshToken)) == [
        "None",
        "replaced",
    ]


def test_a_failed_login_replaces_nothing(page: Page) -> None:
    page.login()
    page.login({**JOHN, "password": "wrong"})
    assert page.refresh().status_code == 200


def test_a_login_over_a_dead_cookie_is_a_login(page: Page) -> None:
    page.cookie = "e30.e30.e30"
    assert page.login().status_code == 200
    assert page.refresh().status_code == 200


# --- refresh: every verdict of docs/refresh.md ----------------------------------------------------


def test_a_cookie_refreshes_without_a_body(page: Page, api: Api, app: Flask) -> None:
    page.login()
    before = page.cookie
    response = page.refresh()
    assert response.get_json().keys() == {
        "accessToken",
        "expiresIn",
        "refreshExpiresIn",
        "tokenType",
    }
    assert set_cookie(response).value == page.cookie != before
    assert api.me(response.get_json()["accessToken"]).status_code == 200
    assert rows(app, RefreshToken)[0].generation == 1


def test_a_refreshed_cookie_lives_as_long_as_its_login(
    page: Page, clock: time_machine.Traveller
) -> None:
    page.login()
    for _ in range(7):
        clock.shift(timedelta(days=12))
        cookie = set_cookie(page.refresh())
    assert cookie["max-age"] == str(6 * 86_400)


def test_an_empty_json_object_leaves_the_token_to_the_cookie(page: Page) -> None:
    page.login()
    assert page.refresh({}).status_code == 200


def test_two_tabs_with_one_cookie_get_the_same_successor(
    page: Page, app: Flask, clock: time_machine.Traveller
) -> None:
    page.login()
    shared = page.cookie
    first = page.refresh()
    clock.shift(10)
    page.cookie = str(shared)  # what the other tab sent before it got that answer
    second = page.refresh()
    assert set_cookie(second).value == set_cookie(first).value
    assert set_cookie(second)["max-age"] == str(1_209_600 - 10)
    assert rows(app, RefreshToken)[0].generation == 1


def test_a_lost_answer_comes_again_for_its_key(page: Page, clock: time_machine.Traveller) -> None:
    page.login()
    unspent = page.cookie
    lost = page.refresh(**{"Idempotency-Key": "k1"})
    page.cookie = str(unspent)
    clock.shift(timedelta(days=1))
    found = page.refresh(**{"Idempotency-Key": "k1"})
    assert set_cookie(found).value == set_cookie(lost).value


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k2"}])
def test_an_access_token_alone_leaves_the_cookie_alone(page: Page, key: dict[str, str]) -> None:
    page.login()
    shared = page.cookie
    page.refresh(**{"Idempotency-Key": "k1"})
    newest = page.cookie
    page.cookie = str(shared)
    alone = page.refresh(**key)
    assert alone.get_json().keys() == {"accessToken", "tokenType", "expiresIn"}
    assert_untouched(alone)
    page.cookie = str(newest)
    assert page.refresh().status_code == 200


def forge(page: Page, app: Flask, clock: time_machine.Traveller) -> None:
    page.cookie = f"{page.cookie}x"


def expire(page: Page, app: Flask, clock: time_machine.Traveller) -> None:
    clock.shift(timedelta(days=14))


def revoke(page: Page, app: Flask, clock: time_machine.Traveller) -> None:
    Api(app.test_client()).logout(str(page.cookie))


def reuse(page: Page, app: Flask, clock: time_machine.Traveller) -> None:
    spent = page.cookie
    page.refresh()
    clock.shift(11)
    page.cookie = str(spent)


def forget(page: Page, app: Flask, clock: time_machine.Traveller) -> None:
    execute(app, delete(RefreshToken))


def restore(page: Page, app: Flask, clock: time_machine.Traveller) -> None:
    page.refresh()
    execute(app, update(RefreshToken).values(generation=0))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (forge, "refresh_invalid"),
        (forget, "refresh_invalid"),
        (restore, "refresh_invalid"),
        (expire, "refresh_expired"),
        (revoke, "refresh_revoked"),
        (reuse, "refresh_reused"),
    ],
)
def test_a_refused_cookie_is_cleared(
    page: Page,
    app: Flask,
    clock: time_machine.Traveller,
    spoil: Callable[[Page, Flask, time_machine.Traveller], None],
    code: str,
) -> None:
    page.login()
    spoil(page, app, clock)
    refused = page.refresh()
    assert_problem(refused, 401, code)
    assert_cleared(refused)
    assert page.cookie is None


def test_too_many_replays_leave_the_cookie(page: Page, app: Flask) -> None:
    page.login()
    shared = str(page.cookie)
    page.refresh()
    execute(app, update(RefreshToken).values(replays=MAX_REPLAYS))
    page.cookie = shared
    too_many = page.refresh()
    assert_problem(too_many, 429, "too_many_replays")
    assert_untouched(too_many)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (OperationalError("", {}, Exception()), 503, "unavailable"),
        (RuntimeError(), 500, "internal_error"),
    ],
)
def test_a_fault_of_ours_leaves_the_cookie(
    page: Page, monkeypatch: pytest.MonkeyPatch, fault: Exception, status: int, code: str
) -> None:
    page.login()
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "refresh", fail_with(fault))
        failed = page.refresh()
    assert_problem(failed, status, code)
    assert_untouched(failed)
    assert page.refresh().status_code == 200


def test_a_request_that_must_be_mended_leaves_the_cookie(page: Page) -> None:
    page.login()
    refused = page.refresh(**{"Idempotency-Key": "a b"})
    assert_problem(refused, 400, "invalid_header")
    assert_untouched(refused)


def fail_with(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


# --- what a request must look like ----------------------------------------------------------------


def test_no_token_at_all_is_told(page: Page) -> None:
    missing = page.refresh()
    assert_problem(missing, 401, "refresh_missing")
    assert_untouched(missing)
    page.cookie = ""
    assert_problem(page.refresh(), 401, "refresh_missing")


def test_json_without_a_token_fits_only_a_cookie(page: Page) -> None:
    for send in (page.refresh, page.logout):
        problem = assert_problem(send({}), 422, "validation_failed")
        assert problem["errors"].keys() == {"refreshToken"}


@pytest.mark.parametrize("send", [Page.refresh, Page.logout])
def test_a_token_in_the_body_beside_one_in_the_cookie_is_refused(
    page: Page, app: Flask, send: Callable[..., TestResponse]
) -> None:
    token = Api(app.test_client()).tokens()["refreshToken"]
    page.login()
    both = send(page, {"refreshToken": token})
    assert_problem(both, 400, "ambiguous_token")
    assert_untouched(both)
    assert {(one.generation, one.revoked_at) for one in rows(app, RefreshToken)} == {(0, None)}


def test_two_different_cookies_are_refused(page: Page, app: Flask) -> None:
    """Another host of the domain has set one for all of them."""
    page.login()
    planted = Api(app.test_client()).tokens(JOHN)["refreshToken"]
    pair = f"{REFRESH_TOKEN.name}={planted}; {REFRESH_TOKEN.name}={page.cookie}"
    stranger = Page(app.test_client(use_cookies=False))
    for send in (stranger.refresh, stranger.logout, stranger.login):
        assert_problem(send(Cookie=pair), 400, "ambiguous_token")
    twice = f"{REFRESH_TOKEN.name}={page.cookie}; {REFRESH_TOKEN.name}={page.cookie}"
    assert stranger.refresh(Cookie=twice).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("text/plain", b"", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"", 415, "unsupported_media_type"),
        (None, b"{}", 415, "unsupported_media_type"),
        ("application/json", b"", 400, "invalid_json"),
        ("application/json", b'{"refresh_token": "x"}', 422, "validation_failed"),
    ],
)
def test_a_cookie_makes_no_other_body_right(
    page: Page, app: Flask, content_type: str | None, body: bytes, status: int, code: str
) -> None:
    page.login()
    for path in ("/auth/refresh", "/auth/logout"):
        answer = page.client.post(
            path, data=body, content_type=content_type, headers={"Origin": ORIGIN}
        )
        assert_problem(answer, status, code)
        assert_untouched(answer)
    (login,) = rows(app, RefreshToken)
    assert (login.generation, login.revoked_at) == (0, None)


def test_a_chunked_body_is_a_body(page: Page) -> None:
    page.login()
    headers = {"Origin": ORIGIN, "Transfer-Encoding": "chunked"}
    assert_problem(
        page.client.post("/auth/refresh", headers=headers), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize("value", ["\xff\xfe", '"\\377\\000"', "%00", "a" * 9000, ";", "é"])
def test_whatever_a_cookie_holds_is_no_500(app: Flask, value: str) -> None:
    stranger = Page(app.test_client(use_cookies=False))
    refused = stranger.refresh(Cookie=f"{REFRESH_TOKEN.name}={value}")
    assert refused.status_code == 401, refused.text
    assert stranger.logout(Cookie=f"{REFRESH_TOKEN.name}={value}").status_code == 204


# --- logout ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_logout_ends_the_login_and_clears_the_cookie(page: Page, api: Api, method: str) -> None:
    access = page.login().get_json()["accessToken"]
    out = page.logout(method=method)
    assert out.status_code == 204
    assert_cleared(out)
    assert_problem(api.me(access), 401, "token_revoked")
    again = page.logout(method=method)
    assert again.status_code == 204
    assert_untouched(again)


def test_logout_with_a_dead_cookie_clears_it(page: Page) -> None:
    page.cookie = "e30.e30.e30"
    out = page.logout()
    assert out.status_code == 204
    assert_cleared(out)


# --- from whom ------------------------------------------------------------------------------------

STRANGERS = [
    None,
    "null",
    "",
    "https://evil.example",
    "http://localhost:8000",
    "http://127.0.0.1:8001",
    "https://127.0.0.1:8000",
    "http://127.0.0.1:8000/",
    "HTTP://127.0.0.1:8000",
    "http://127.0.0.1:8000, https://evil.example",
    "http://127.0.0.1:8000.evil.example",
]


def test_a_page_of_a_stranger_uses_no_cookie(app: Flask, page: Page) -> None:
    page.login()
    for page.origin in STRANGERS:
        for send in (page.refresh, page.logout, page.login):
            refused = send()
            assert_problem(refused, 403, "origin_not_allowed")
            assert_untouched(refused)
    (login,) = rows(app, RefreshToken)
    assert (login.generation, login.revoked_at) == (0, None)


def test_a_strangers_login_costs_no_hash(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyturn.passwords.Passwords.verify", fail_with(AssertionError()))
    page.origin = "https://evil.example"
    assert_problem(page.login(), 403, "origin_not_allowed")


def test_without_a_cookie_the_origin_does_not_matter(api: Api) -> None:
    stranger = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    token = api.tokens(**stranger)["refreshToken"]
    assert api.refresh(token, **stranger).status_code == 200


def test_a_page_of_another_site_uses_no_cookie(page: Page) -> None:
    page.login()
    for site in ("cross-site", "none", "", "SAME-SITE"):
        assert_problem(page.refresh(**{"Sec-Fetch-Site": site}), 403, "origin_not_allowed")
    for site in ("same-origin", "same-site"):
        assert page.refresh(**{"Sec-Fetch-Site": site}).status_code == 200


@pytest.mark.parametrize(
    ("changes", "headers", "origin", "status"),
    [
        ({}, {"Host": "auth.example.com"}, "http://auth.example.com", 200),
        ({}, {"Host": "auth.example.com:80"}, "http://auth.example.com", 200),
        ({}, {"Host": "auth.example.com"}, "https://auth.example.com", 403),
        (
            {"TRUSTED_PROXIES": "1"},
            {"Host": "auth.example.com", "X-Forwarded-Proto": "https"},
            "https://auth.example.com",
            200,
        ),
        (
            {"TRUSTED_PROXIES": "0"},
            {"Host": "auth.example.com", "X-Forwarded-Proto": "https"},
            "https://auth.example.com",
            403,
        ),
        ({}, {"X-Forwarded-Host": "evil.example"}, "http://evil.example", 403),
        ({"ISSUER": "https://auth.example.com/"}, {}, "https://auth.example.com", 200),
        ({"ISSUER": "https://AUTH.example.com:443/t1"}, {}, "https://auth.example.com", 200),
        ({"CORS_ORIGINS": "https://app.example.com"}, {}, "https://app.example.com", 200),
        ({"CORS_ORIGINS": "https://app.example.com"}, {}, "https://www.example.com", 403),
    ],
)
def test_the_services_own_pages_and_listed_ones_use_cookies(
    settings: dict[str, str],
    request: pytest.FixtureRequest,
    changes: dict[str, str],
    headers: dict[str, str],
    origin: str,
    status: int,
) -> None:
    settings.update(changes)
    page = Page(request.getfixturevalue("app").test_client(), origin)
    assert page.login(**headers).status_code == status
