"""Introspection as RFC 7662 has it: all there is to know of a good token, nothing of any other."""

from collections.abc import Callable

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.support.api import BOB, Api, assert_problem
from tests.support.database import statements
from tests.support.services import Service
from tests.support.tokens import key_pair
from tests.test_input import HOSTILE

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def service(client: FlaskClient, service_token: str) -> Service:
    return Service(client, service_token)


def test_an_active_token_is_told_with_its_claims_and_nothing_personal(
    api: Api, service: Service
) -> None:
    token = api.tokens()["accessToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    answer = service.ask_introspect(token=token, token_type_hint="access_token")
    assert answer.get_json() == {**claims, "active": True, "token_type": "Bearer"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert claims.keys() == {"iss", "aud", "sub", "sid", "jti", "iat", "exp"}


def logged_out(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    tokens = api.tokens()
    api.logout(tokens["refreshToken"])
    return str(tokens["accessToken"])


def of_a_disabled_user(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    token = api.tokens()["accessToken"]
    app.test_cli_runner().invoke(args=["users", "disable", BOB["email"]])
    return str(token)


def of_a_deleted_user(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    token = api.tokens()["accessToken"]
    app.test_cli_runner().invoke(args=["users", "delete", BOB["email"], "--yes"])
    return str(token)


def expired(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    token = api.tokens()["accessToken"]
    clock.shift(900 + 5)
    return str(token)


def a_refresh_token(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    return str(api.tokens()["refreshToken"])


def forged(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    token = api.tokens()["accessToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    headers = jwt.get_unverified_header(token)
    return key_pair(headers["alg"], headers["kid"]).sign(headers, claims)


def nonsense(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    return "\0 nonsense \N{SNOWMAN}"


def endless(api: Api, app: Flask, clock: time_machine.Traveller) -> str:
    return "a." * 30_000


@pytest.mark.parametrize(
    "make",
    [
        logged_out,
        of_a_disabled_user,
        of_a_deleted_user,
        expired,
        a_refresh_token,
        forged,
        nonsense,
        endless,
    ],
)
def test_any_other_token_is_inactive_and_nothing_else(
    api: Api,
    app: Flask,
    service: Service,
    clock: time_machine.Traveller,
    make: Callable[[Api, Flask, time_machine.Traveller], str],
) -> None:
    answer = service.ask_introspect(token=make(api, app, clock))
    assert (answer.status_code, answer.get_json()) == (200, {"active": False})


def test_hostile_text_is_an_inactive_token(service: Service) -> None:
    for text in HOSTILE:
        if isinstance(text, str) and text:
            assert service.introspect(text) == {"active": False}


def test_whether_the_login_lives_is_one_query(
    api: Api, app: Flask, service: Service, clock: time_machine.Traveller
) -> None:
    tokens = api.tokens()
    with statements(app) as sent:
        service.introspect(tokens["accessToken"])
    guard, login = sent
    assert "service_tokens" in guard
    assert "refresh_tokens" in login
    with statements(app) as sent:
        service.introspect(tokens["refreshToken"])
    guard, keys = sent  # its kid might be of a key that another host has just made
    assert "service_tokens" in guard
    assert "signing_keys" in keys


# --- the form -------------------------------------------------------------------------------------


def ask(client: FlaskClient, token: str, body: str | bytes, kind: str = FORM) -> object:
    return client.post(
        "/auth/introspect",
        data=body,
        content_type=kind,
        headers={"Authorization": f"Bearer {token}"},
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 422, "validation_failed"),
        ("token=", 422, "validation_failed"),
        ("token_type_hint=access_token", 422, "validation_failed"),
        ("token", 400, "invalid_form"),
        ("token=a&token=a", 400, "invalid_form"),
        ("token=a&x=1&x=2", 400, "invalid_form"),
        ("token=%ff", 400, "invalid_form"),
        (b"token=\xc3\xa4", 400, "invalid_form"),
        ("token=a" + "".join(f"&x{number}=" for number in range(32)), 400, "invalid_form"),
        ("token=" + "a" * 65_536, 413, "body_too_large"),
    ],
)
def test_a_form_that_is_none_is_refused(
    client: FlaskClient, service_token: str, body: str | bytes, status: int, code: str
) -> None:
    assert_problem(ask(client, service_token, body), status, code)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", f"{FORM}; charset=latin-1", ""]
)
def test_only_a_form_is_taken(client: FlaskClient, service_token: str, kind: str) -> None:
    answer = ask(client, service_token, '{"token": "a"}', kind)
    assert FORM in assert_problem(answer, 415, "unsupported_media_type")["detail"]  # type: ignore[arg-type]


def test_what_other_clients_add_to_the_form_is_left_alone(
    api: Api, client: FlaskClient, service_token: str
) -> None:
    """RFC 6749 section 3.1; some send their credentials a second time here."""
    token = api.tokens()["accessToken"]
    body = f"token={token}&client_id=orders&client_secret=x&resource="
    answer = ask(client, service_token, body, f"{FORM};charset=UTF-8")
    assert answer.get_json()["active"] is True  # type: ignore[attr-defined]
