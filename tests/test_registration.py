"""Registering, and deleting oneself."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from keyturn.audit.models import AuditEvent
from keyturn.auth.models import RefreshToken
from keyturn.passwords import Passwords
from keyturn.users.models import User
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.database import rows, statements
from tests.support.server import Server

PASSWORD = "correct horse battery"
ANN = {"name": "Ann", "email": "ann@example.com", "password": PASSWORD}
TAKEN = {**ANN, "email": "BOB@gmail.com"}


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    settings.update(REGISTRATION="open", THROTTLE_ADDRESS="4/60")
    return settings


@pytest.fixture
def _private(settings: dict[str, str]) -> None:
    settings["REGISTRATION_PRIVATE"] = "on"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are hashed."""
    hash_one, hashed = Passwords._hash, []

    def hash_and_note(self: Passwords, password: str) -> str:
        hashed.append(password)
        return hash_one(self, password)

    monkeypatch.setattr(Passwords, "_hash", hash_and_note)
    return hashed


def register(client: FlaskClient, user: dict[str, Any] = ANN) -> TestResponse:
    return client.post("/users", json=user)


def login(api: Api, user: dict[str, str]) -> TestResponse:
    return api.login({"email": user["email"], "password": user["password"]})


def emails(app: Flask) -> list[str]:
    return sorted(user.email for user in rows(app, User))


# --- POST /users ----------------------------------------------------------------------------------


class TestByDefault:
    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        del settings["REGISTRATION"]
        return settings

    def test_nobody_can_register(self, client: FlaskClient, app: Flask, hashed: list[str]) -> None:
        before = emails(app)
        assert_problem(register(client), 403, "registration_closed")
        assert emails(app) == before
        assert hashed == []


def test_who_registers_is_answered_as_a_user_and_can_log_in(api: Api, app: Flask) -> None:
    answer = register(api.client)
    assert answer.status_code == 201
    me = api.me(login(api, ANN).get_json()["accessToken"]).get_json()
    assert answer.get_json() == me
    assert (me["name"], me["email"]) == ("Ann", "ann@example.com")
    (user,) = (one for one in rows(app, User) if one.email == ANN["email"])
    assert user.password_hash.startswith("$argon2id$")
    assert ("user_created", user.id) in {(one.kind, one.user_id) for one in rows(app, AuditEvent)}


def test_an_email_that_is_taken_in_any_case_is_told_and_its_user_stays(
    api: Api, app: Flask
) -> None:
    before = emails(app)
    assert_problem(register(api.client, TAKEN), 409, "email_taken")
    assert emails(app) == before
    assert api.me(login(api, BOB).get_json()["accessToken"]).get_json()["name"] == "Bob"


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"password": "short"}, "weak_password", None),
        ({"password": "passwordpassword"}, "weak_password", None),
        ({"password": "ann@example.com"}, "weak_password", None),
        ({"password": "x" * 1025}, "validation_failed", "password"),
        ({"email": "nonsense"}, "validation_failed", "email"),
        ({"name": ""}, "validation_failed", "name"),
        ({"id": "1"}, "validation_failed", "id"),
    ],
)
def test_what_does_not_fit_is_refused_without_a_hash(
    client: FlaskClient, hashed: list[str], change: dict[str, str], code: str, field: str | None
) -> None:
    problem = assert_problem(register(client, {**ANN, **change}), 422, code)
    assert set(problem.get("errors", {})) == ({field} if field else set())
    assert hashed == []


@pytest.mark.usefixtures("clock")
def test_registering_is_throttled_by_address_and_refused_without_a_hash(
    client: FlaskClient, hashed: list[str]
) -> None:
    for number in range(3):
        user = {**ANN, "email": f"{number}@example.com"}
        assert register(client, user).status_code == 201
    assert_problem(register(client, TAKEN), 409, "email_taken")
    spent = len(hashed)
    answers = [register(client, user) for user in (ANN, TAKEN)]
    for answer in answers:
        assert_problem(answer, 429, "too_many_attempts")
        assert answer.headers["Retry-After"] == "15"
    assert answers[0].data == answers[1].data
    assert len(hashed) == spent == 4


def test_a_full_queue_refuses_a_registration(client: FlaskClient, app: Flask) -> None:
    queue = app.extensions["keyturn"].passwords.queue
    places = 0
    while queue._places.acquire(blocking=False):
        places += 1
    answer = register(client)
    queue._places.release(places)
    assert_problem(answer, 503, "busy")
    assert answer.headers["Retry-After"] == "1"


def test_of_many_at_once_one_gets_the_email(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY=2, REGISTRATION="open", THROTTLE_ADDRESS="100/60")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: server.request("POST", "/users", ANN), range(6)))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 5}


@pytest.mark.usefixtures("_private")
class TestPrivate:
    @pytest.mark.usefixtures("clock")
    def test_registering_tells_nothing_and_costs_the_same(
        self, client: FlaskClient, app: Flask, hashed: list[str]
    ) -> None:
        with app.app_context():
            app.extensions["keyturn"].current_signer()  # or the first request would read the keys
        seen = []
        for user in (ANN, TAKEN, {**TAKEN, "email": "nobody@example.com"}):
            with statements(app) as sent:
                answer = register(client, user)
            headers = {name: value for name, value in answer.headers if name != "X-Request-ID"}
            seen.append((answer.status_code, headers, answer.data, list(sent)))
        assert seen[0][0] == 202
        assert seen[0][2] == b""
        assert seen[0] == seen[1] == seen[2]
        assert hashed == [PASSWORD] * 3

    def test_who_is_new_can_log_in_and_who_is_not_stays_who_they_were(
        self, api: Api, app: Flask
    ) -> None:
        for user in (ANN, TAKEN):
            assert register(api.client, user).status_code == 202
        assert login(api, ANN).status_code == 200
        assert api.me(login(api, BOB).get_json()["accessToken"]).get_json()["name"] == "Bob"
        assert_problem(login(api, {**TAKEN}), 401, "invalid_credentials")
        kinds = Counter(one.kind for one in rows(app, AuditEvent))
        assert kinds["user_exists"] == 1


# --- DELETE /users/me -----------------------------------------------------------------------------


def delete(api: Api, token: str, password: str) -> TestResponse:
    return api.send("DELETE", "/users/me", token, {"password": password})


def test_who_deletes_themselves_is_gone_with_all_their_logins(api: Api, app: Flask) -> None:
    elsewhere, here = api.tokens(), api.tokens()
    john = api.tokens(JOHN)
    assert delete(api, here["accessToken"], BOB["password"]).status_code == 204
    for tokens in (elsewhere, here):
        assert_problem(api.me(tokens["accessToken"]), 401, "token_revoked")
        assert_problem(api.refresh(tokens["refreshToken"]), 401, "refresh_invalid")
    assert_problem(api.login(BOB), 401, "invalid_credentials")
    assert BOB["email"] not in emails(app)
    assert len(rows(app, RefreshToken)) == 1
    assert api.me(john["accessToken"]).status_code == 200


def test_nobody_is_deleted_without_their_password(api: Api, app: Flask) -> None:
    token = api.tokens()["accessToken"]
    assert_problem(delete(api, token, "wrong"), 403, "wrong_password")
    assert_problem(api.send("DELETE", "/users/me", token, {}), 422, "validation_failed")
    assert_problem(api.send("DELETE", "/users/me", None, {"password": "x"}), 401, "missing_token")
    assert BOB["email"] in emails(app)
    assert "user_delete_failed" in {one.kind for one in rows(app, AuditEvent)}


def test_guessing_with_a_stolen_access_token_is_throttled(
    settings: dict[str, str], request: pytest.FixtureRequest, clock: time_machine.Traveller
) -> None:
    settings["THROTTLE_ACCOUNT"] = "2/60"
    api = request.getfixturevalue("api")
    token = api.tokens()["accessToken"]
    for _ in range(2):
        assert_problem(delete(api, token, "wrong"), 403, "wrong_password")
    answer = delete(api, token, BOB["password"])
    assert_problem(answer, 429, "too_many_attempts")
    assert answer.headers["Retry-After"] == "30"
