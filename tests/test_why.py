"""`flask sessions why`: which rule ended a login, and what a token would get."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete

from keyturn.auth import history
from keyturn.auth.judgement import Verdict
from keyturn.auth.models import RefreshToken
from tests.support.api import BOB, Api
from tests.support.console import Run, printed
from tests.support.database import execute, rows


def why(run: Run, name: str) -> Any:
    return printed(run("sessions", "why", "--json", name))


def test_a_living_login_lives_and_asking_changes_nothing(app: Flask, api: Api, run: Run) -> None:
    token = api.tokens()["refreshToken"]
    before = [vars(login) | {"_sa_instance_state": None} for login in rows(app, RefreshToken)]
    answer = why(run, token)
    assert (answer["rule"], answer["token"]) == ("live", history.TOKEN_GETS[Verdict.ROTATED])
    after = [vars(login) | {"_sa_instance_state": None} for login in rows(app, RefreshToken)]
    assert after == before


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        (["users", "disable", BOB["email"]], "user_disabled"),
        (["users", "delete", "--yes", BOB["email"]], "user_deleted"),
        (["sessions", "revoke", "--user", BOB["email"]], "ended_by_operator"),
    ],
)
def test_what_an_operator_ended(api: Api, run: Run, command: list[str], rule: str) -> None:
    token = api.tokens()["refreshToken"]
    assert run(*command).exit_code == 0
    answer = why(run, token)
    assert answer["rule"] == rule
    assert answer["timeline"][-1]["operator"]


def test_what_its_user_ended(api: Api, run: Run) -> None:
    phone, laptop = api.tokens(), api.tokens()
    api.send(
        "PUT",
        "/users/me/password",
        laptop["accessToken"],
        json={"currentPassword": BOB["password"], "newPassword": "correct horse battery"},
    )
    assert why(run, phone["refreshToken"])["rule"] == "password_changed"
    api.logout(laptop["refreshToken"])
    assert why(run, laptop["refreshToken"])["rule"] == "logout"


def test_what_its_user_ended_from_elsewhere_or_by_logging_in_anew(api: Api, run: Run) -> None:
    phone, laptop = api.tokens()["refreshToken"], api.tokens()
    api.send("DELETE", "/auth/sessions?keep=current", laptop["accessToken"])
    assert why(run, phone)["rule"] == "ended_by_user"

    headers = {"Origin": "http://127.0.0.1:8000"}
    in_browser = {**BOB, "transport": "cookie"}
    api.login(in_browser, **headers)
    browser = next(one for one in api.sessions(laptop["accessToken"]) if not one["current"])
    api.login(in_browser, **headers)
    assert why(run, browser["id"])["rule"] == "replaced"


def test_reuse_shows_both_addresses_and_generations(
    api: Api, run: Run, clock: time_machine.Traveller
) -> None:
    stolen = api.tokens(**{"User-Agent": "phone"})["refreshToken"]
    api.refresh(stolen, **{"User-Agent": "phone"})
    clock.shift(60)
    assert why(run, stolen)["token"] == history.TOKEN_GETS[Verdict.REUSED]
    api.client.post(
        "/auth/refresh",
        json={"refreshToken": stolen},
        environ_base={"REMOTE_ADDR": "203.0.113.7"},
    )
    answer = why(run, stolen)
    assert answer["rule"] == "reused"
    refused = answer["timeline"][1]
    assert (refused["address"], refused["detail"]["last_address"]) == ("203.0.113.7", "127.0.0.1")
    screen = run("sessions", "why", answer["session"]).output
    for told in ("reused", "203.0.113.7", "127.0.0.1", "phone", "generation"):
        assert told in screen


def test_a_login_that_ended_by_itself(api: Api, run: Run, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    clock.shift(timedelta(days=14))
    assert why(run, token)["rule"] == "idle"
    answer = why(run, token)
    assert answer["token"] == history.TOKEN_GETS[Verdict.EXPIRED]


def test_the_absolute_lifetime_is_told_from_the_idle_one(
    api: Api, run: Run, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    for _ in range(7):
        clock.shift(timedelta(days=13))
        answer = api.refresh(token)
        if answer.status_code == 200:
            token = answer.get_json()["refreshToken"]
    assert why(run, token)["rule"] == "absolute"


def test_a_deleted_login_is_told_from_the_trail(
    app: Flask, api: Api, run: Run, clock: time_machine.Traveller
) -> None:
    ended, expired = api.tokens()["refreshToken"], api.tokens()["refreshToken"]
    api.logout(ended)
    execute(app, delete(RefreshToken))
    assert why(run, ended)["rule"] == "logout"
    assert why(run, expired)["rule"] == "expired"


def test_what_nobody_knows_is_said_so(run: Run, api: Api) -> None:
    assert why(run, "0d6c0a52-5f0f-4c5f-9d53-2b1a1f0d7c11")["rule"] == "unknown"
    token = api.tokens()["refreshToken"]
    refused = run("sessions", "why", token[:-4] + "AAAA")
    assert refused.exit_code == 5
    assert "REFRESH_SECRET" in refused.output
    assert run("sessions", "why", "-", stdin=token).output.startswith("It lives.")
