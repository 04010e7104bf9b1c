"""Forward-auth: what a reverse proxy is told before it lets a request through."""

import io

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.support.api import Api, assert_problem
from tests.support.database import statements


@pytest.mark.usefixtures("clock")
def test_a_good_token_is_told_whose_and_of_which_login_without_a_query(
    api: Api, app: Flask
) -> None:
    token = api.tokens()["accessToken"]
    user = api.me(token).get_json()["id"]
    (session,) = api.sessions(token)
    with statements(app) as sent:
        answer = api.get("/auth/verify", token)
    assert sent == []
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["X-Auth-User"] == user
    assert answer.headers["X-Auth-Session"] == session["id"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("clock")
def test_only_live_asks_the_database_whether_the_login_lives(api: Api, app: Flask) -> None:
    tokens = api.tokens()
    with statements(app) as sent:
        assert api.get("/auth/verify?live=1", tokens["accessToken"]).status_code == 204
    assert len(sent) == 1
    api.logout(tokens["refreshToken"])
    assert api.get("/auth/verify", tokens["accessToken"]).status_code == 204
    answer = api.get("/auth/verify?live=1", tokens["accessToken"])
    assert_problem(answer, 401, "token_revoked")
    assert "X-Auth-User" not in answer.headers


def test_any_other_token_is_refused_with_its_challenge(
    api: Api, clock: time_machine.Traveller
) -> None:
    tokens = api.tokens()
    clock.shift(905)
    for token, code in (
        (tokens["accessToken"], "token_expired"),
        (tokens["refreshToken"], "invalid_token"),
        ("x", "invalid_token"),
    ):
        answer = api.get("/auth/verify", token)
        assert_problem(answer, 401, code)
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert "X-Auth-User" not in answer.headers


@pytest.mark.parametrize("query", ["live=0", "live=", "alive=1"])
def test_a_query_nobody_understands_lets_nobody_through(api: Api, query: str) -> None:
    token = api.tokens()["accessToken"]
    assert_problem(api.get(f"/auth/verify?{query}", token), 422, "validation_failed")


def test_it_answers_get_and_head_only(api: Api, client: FlaskClient) -> None:
    bearer = {"Authorization": f"Bearer {api.tokens()['accessToken']}"}
    assert client.head("/auth/verify", headers=bearer).headers["X-Auth-User"]
    assert_problem(client.post("/auth/verify", headers=bearer), 405, "method_not_allowed")


class Unread(io.BytesIO):
    """A body nobody may wait for: a proxy passed its length, but will not pass the body."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("somebody read the body")

    readinto = readline = read  # type: ignore[assignment] # each way to read it


@pytest.mark.parametrize("token", ["good", "x"])
def test_it_waits_for_no_body(api: Api, client: FlaskClient, token: str) -> None:
    token = api.tokens()["accessToken"] if token == "good" else token
    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": "1000"}
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.get("/auth/verify", headers=headers, environ_overrides=environ)
    assert answer.status_code == (401 if token == "x" else 204)
