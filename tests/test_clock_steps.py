"""The clock of a host is set, by an hour, back and forward: no login is lost and none revives."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from keyturn.auth.models import RefreshToken
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.database import rows

AN_HOUR = timedelta(hours=1)

Clock = time_machine.Traveller


@pytest.mark.parametrize("step", [AN_HOUR, -AN_HOUR], ids=["forward", "back"])
def test_a_login_outlives_a_step_of_the_clock_there_and_back(
    api: Api, clock: Clock, step: timedelta
) -> None:
    token = api.tokens()["refreshToken"]
    for one in (step, -step):
        clock.shift(one)
        refreshed = api.refresh(token, f"key {one}".replace(" ", "-").replace(",", ""))
        assert refreshed.status_code == 200, refreshed.text
        token = refreshed.get_json()["refreshToken"]
        assert api.me(refreshed.get_json()["accessToken"]).status_code == 200
        assert api.login().status_code == 200


@pytest.mark.parametrize("step", [AN_HOUR, -AN_HOUR], ids=["forward", "back"])
def test_no_step_of_the_clock_revives_an_ended_login(
    api: Api, app: Flask, clock: Clock, step: timedelta
) -> None:
    tokens = api.tokens()
    assert api.logout(tokens["refreshToken"]).status_code == 204
    clock.shift(step)
    assert_problem(api.refresh(tokens["refreshToken"]), 401, "refresh_revoked")
    assert api.me(tokens["accessToken"]).status_code == 401
    (login,) = rows(app, RefreshToken)
    assert login.revoked_reason == "logout"


@pytest.mark.parametrize("step", [AN_HOUR, -AN_HOUR], ids=["forward", "back"])
def test_a_lost_answer_is_had_again_after_a_step_of_the_clock(
    api: Api, clock: Clock, step: timedelta
) -> None:
    token = api.tokens()["refreshToken"]
    lost = api.refresh(token, "key").get_json()["refreshToken"]
    clock.shift(step)
    assert api.refresh(token, "key").get_json()["refreshToken"] == lost
    assert api.refresh(lost, "next").status_code == 200


def test_a_token_used_before_is_reuse_after_a_step_forward(api: Api, clock: Clock) -> None:
    token = api.tokens()["refreshToken"]
    newest = api.refresh(token).get_json()["refreshToken"]
    clock.shift(AN_HOUR)
    assert_problem(api.refresh(token), 401, "refresh_reused")
    clock.shift(-AN_HOUR)
    assert_problem(api.refresh(newest), 401, "refresh_revoked")


def test_after_a_step_back_guesses_are_spent_as_they_were_and_no_more(
    settings: dict[str, str], request: pytest.FixtureRequest, clock: Clock
) -> None:
    settings["THROTTLE_ACCOUNT"] = "3/3600"
    api = Api(request.getfixturevalue("app").test_client())
    wrong = {**BOB, "password": "wrong"}
    assert [api.login(wrong).status_code for _ in range(2)] == [401, 401]
    clock.shift(-AN_HOUR)
    assert [api.login(wrong).status_code for _ in range(2)] == [401, 429]
    assert api.login(JOHN).status_code == 200
