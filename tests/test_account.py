"""/account as bytes: its status, its cookie, its policy, and who is refused."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from keyturn.account.devices import device_of
from keyturn.auth.models import RefreshToken
from keyturn.commands import create_app
from tests.support.api import BOB, Api
from tests.support.database import rows

COOKIE = "__Secure-keyturn-account"
ELSEWHERE = "00000000-0000-0000-0000-000000000000"


def post(client: FlaskClient, path: str, form: Any = None, **headers: str) -> TestResponse:
    return client.post(
        f"/account{path}",
        data=form or {},
        base_url="https://localhost",
        headers={"Origin": "https://localhost"} | headers,
    )


def visit(client: FlaskClient, path: str = "") -> TestResponse:
    return client.get(f"/account{path}", base_url="https://localhost")


def sign_in(client: FlaskClient) -> str:
    answer = post(client, "/login", BOB)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    return str(answer.headers["Set-Cookie"])


def test_the_cookie_is_for_the_page_alone_and_for_no_script(client: FlaskClient) -> None:
    given = sign_in(client)
    assert given.startswith(f"{COOKIE}=")
    for attribute in ("Secure", "HttpOnly", "Path=/account", "SameSite=Strict"):
        assert f"; {attribute}" in given
    assert visit(client).status_code == 200


def test_the_page_may_do_nothing_but_send_its_own_forms(client: FlaskClient) -> None:
    headers = visit(client).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:81"])
@pytest.mark.parametrize(
    "path", ["/login", "/logout", "/password", "/sessions/end-others", f"/sessions/{ELSEWHERE}/end"]
)
def test_forms_of_other_origins_change_nothing(
    client: FlaskClient, app: Flask, path: str, origin: str
) -> None:
    sign_in(client)
    (before,) = rows(app, RefreshToken)
    form = {**BOB, "current": BOB["password"], "new": "correct horse battery"}
    answer = post(client, path, form, Origin=origin)
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    (after,) = rows(app, RefreshToken)
    assert (after.id, after.generation, after.revoked_at) == (before.id, before.generation, None)


@pytest.mark.parametrize("path", ["", "/password"])
def test_whoever_is_not_signed_in_gets_the_form(client: FlaskClient, path: str) -> None:
    answer = visit(client, path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert 'autocomplete="current-password"' in answer.text
    assert 'role="alert"' not in answer.text


@pytest.mark.parametrize("path", ["/password", "/sessions/end-others"])
def test_nothing_is_done_for_whoever_is_not_signed_in(client: FlaskClient, path: str) -> None:
    assert post(client, path).status_code == 401


def test_signing_out_ends_the_login_and_forgets_the_cookie(client: FlaskClient, app: Flask) -> None:
    sign_in(client)
    answer = post(client, "/logout")
    assert f"{COOKIE}=;" in answer.headers["Set-Cookie"]
    assert [login.revoked_reason for login in rows(app, RefreshToken)] == ["logout"]
    assert visit(client).status_code == 401


def test_an_ended_login_is_told_and_its_cookie_forgotten(client: FlaskClient, app: Flask) -> None:
    sign_in(client)
    api = Api(app.test_client())
    bearer = {"Authorization": f"Bearer {api.tokens()['accessToken']}"}
    api.client.delete("/auth/sessions", headers=bearer)
    answer = visit(client)
    assert answer.status_code == 401
    assert "Your login has ended" in answer.text
    assert f"{COOKIE}=;" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({**BOB, "password": "wrong"}, 401),
        ({"email": "no address", "password": "x"}, 422),
        ({"email": BOB["email"]}, 422),
        ({**BOB, "more": "x"}, 422),
    ],
)
def test_a_refused_sign_in_shows_its_form_and_keeps_its_status(
    client: FlaskClient, form: dict[str, str], status: int
) -> None:
    answer = post(client, "/login", form)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert 'role="alert"' in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_weak_password_is_refused_with_the_reason(client: FlaskClient) -> None:
    sign_in(client)
    answer = post(client, "/password", {"current": BOB["password"], "new": "short"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'autocomplete="new-password"' in answer.text


def test_a_login_of_another_user_is_not_found(client: FlaskClient) -> None:
    sign_in(client)
    assert post(client, f"/sessions/{ELSEWHERE}/end").status_code == 404


def test_signing_in_again_ends_the_login_that_was_there(client: FlaskClient, app: Flask) -> None:
    sign_in(client)
    sign_in(client)
    assert sorted(login.revoked_reason or "" for login in rows(app, RefreshToken)) == [
        "",
        "replaced",
    ]


def test_a_visit_whose_answer_was_lost_ends_nothing(client: FlaskClient) -> None:
    sign_in(client)
    held = client.get_cookie(COOKIE, path="/account", domain="localhost")
    assert held is not None
    assert visit(client).status_code == 200
    client.set_cookie(COOKIE, held.value, path="/account", domain="localhost")
    assert visit(client).status_code == 200


def test_a_copied_cookie_ends_the_login_when_it_comes_late(client: FlaskClient, app: Flask) -> None:
    sign_in(client)
    held = client.get_cookie(COOKIE, path="/account", domain="localhost")
    assert held is not None
    visit(client)
    visit(client)
    client.set_cookie(COOKIE, held.value, path="/account", domain="localhost")
    assert visit(client).status_code == 401
    assert [login.revoked_reason for login in rows(app, RefreshToken)] == ["reused"]


def test_names_are_text_and_no_markup(client: FlaskClient, app: Flask) -> None:
    api = Api(app.test_client())
    token = api.tokens(BOB, **{"User-Agent": "<script>alert(1)</script>"})["accessToken"]
    api.send("PATCH", "/users/me", token, {"name": "<b>Bob</b>"})
    sign_in(client)
    page = visit(client).text
    assert "<script" not in page
    assert "&lt;script" in page
    assert "&lt;b&gt;Bob" in page


def test_switched_off_there_is_no_page(settings: dict[str, str]) -> None:
    client = create_app({**settings, "ACCOUNT_PAGE": "off"}).test_client()
    assert visit(client).status_code == 404
    assert post(client, "/login", BOB).status_code == 404


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Safari/537.36", "Chrome on Android"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("", "Unknown device"),
    ],
)
def test_devices_have_the_names_people_give_them(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device
