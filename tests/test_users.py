"""The /users routes."""

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from keyturn.database import db
from keyturn.users.models import User
from tests.support.api import BOB, Api, assert_problem
from tests.support.database import statements

NEW = "correct horse battery"


def test_me_is_one_query(api: Api, app: Flask, clock: time_machine.Traveller) -> None:
    token = api.tokens()["accessToken"]
    with statements(app) as sent:
        assert api.me(token).status_code == 200
    assert [statement.split()[0] for statement in sent] == ["SELECT"]


def test_created_at_is_rfc_3339_in_utc(api: Api) -> None:
    created_at = api.me(api.tokens()["accessToken"]).get_json()["createdAt"]
    assert created_at.endswith("Z")
    assert created_at[10] == "T"


def test_a_user_can_change_their_name(api: Api) -> None:
    token = api.tokens()["accessToken"]
    answer = api.send("PATCH", "/users/me", token, {"name": "Robert 🐙"})
    assert answer.status_code == 200
    assert answer.get_json() == api.me(token).get_json()
    assert answer.get_json()["name"] == "Robert 🐙"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": None}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "Bob", "email": "eve@gmail.com"}, "email"),
        ({"name": "Bob", "id": "1"}, "id"),
    ],
)
def test_only_a_fit_name_can_be_changed(api: Api, body: dict[str, str], field: str) -> None:
    token = api.tokens()["accessToken"]
    answer = api.send("PATCH", "/users/me", token, body)
    assert assert_problem(answer, 422, "validation_failed")["errors"].keys() == {field}
    assert api.me(token).get_json()["name"] == "Bob"


def test_a_new_password_ends_every_other_login(api: Api, app: Flask) -> None:
    elsewhere, here = api.tokens(), api.tokens()
    answer = api.send(
        "PUT",
        "/users/me/password",
        here["accessToken"],
        {"currentPassword": BOB["password"], "newPassword": NEW},
    )
    assert (answer.status_code, answer.data) == (204, b"")
    assert_problem(api.me(elsewhere["accessToken"]), 401, "token_revoked")
    assert_problem(api.refresh(elsewhere["refreshToken"]), 401, "refresh_revoked")
    assert api.me(here["accessToken"]).status_code == 200
    assert api.refresh(here["refreshToken"]).status_code == 200
    assert_problem(api.login(), 401, "invalid_credentials")
    assert api.login({**BOB, "password": NEW}).status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [
        ("wrong", NEW, 403, "wrong_password"),
        ("bobPass", "too short", 422, "weak_password"),
        ("bobPass", "x" * 1025, 422, "validation_failed"),
        ("", NEW, 422, "validation_failed"),
    ],
)
def test_a_password_that_is_not_changed(
    api: Api, current: str, new: str, status: int, code: str
) -> None:
    token = api.tokens()["accessToken"]
    body = {"currentPassword": current, "newPassword": new}
    assert_problem(api.send("PUT", "/users/me/password", token, body), status, code)
    assert api.login().status_code == 200


def test_of_two_password_changes_at_once_one_wins(
    api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = api.tokens()["accessToken"]

    def hash_slowly(_: object, __: str) -> str:
        with app.app_context():
            user = db.session.scalars(select(User).where(User.email == BOB["email"])).one()
            user.password_hash = "changed meanwhile"
            db.session.commit()
        return "too late"

    monkeypatch.setattr("keyturn.passwords.Passwords.hash", hash_slowly)
    body = {"currentPassword": BOB["password"], "newPassword": NEW}
    answer = api.send("PUT", "/users/me/password", token, body)
    assert_problem(answer, 403, "wrong_password")
