"""Refreshing, as its contract says: one row a login, each token spent once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import jwt
import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, update

from keyturn.auth.judgement import MAX_REPLAYS
from keyturn.auth.models import RefreshToken
from keyturn.single import look_up
from keyturn.users.models import User
from tests.support.api import BOB, Api, assert_problem
from tests.support.database import execute, rows, statements


def test_a_refresh_token_holds_nothing_but_its_row(api: Api, app: Flask) -> None:
    token = api.tokens(**{"User-Agent": "spy/1.0"})["refreshToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    (login,) = rows(app, RefreshToken)
    assert claims == {
        "iss": "http://127.0.0.1:8000",
        "sub": str(login.user_id),
        "sid": str(login.id),
        "gen": 0,
        "iat": int(login.rotated_at.timestamp()),
        "exp": int(login.idle_expires_at.timestamp()),
    }
    assert jwt.get_unverified_header(token)["typ"] == "rt+jwt"


def test_the_table_grows_with_logins_and_not_with_refreshes(api: Api, app: Flask) -> None:
    token = api.tokens()["refreshToken"]
    for _ in range(5):
        token = api.refresh(token).get_json()["refreshToken"]
    (login,) = rows(app, RefreshToken)
    assert login.generation == 5


def test_a_refresh_that_rotates_is_one_look_and_one_change(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    with statements(app) as sent:
        assert api.refresh(token).status_code == 200
    assert [statement.split()[0] for statement in sent] == ["SELECT", "UPDATE"]


def test_a_refreshed_access_token_belongs_to_the_same_login(api: Api) -> None:
    first = api.tokens()
    second = api.refresh(first["refreshToken"]).get_json()
    before, after = (
        jwt.decode(tokens["accessToken"], options={"verify_signature": False})
        for tokens in (first, second)
    )
    assert (before["sid"], before["sub"]) == (after["sid"], after["sub"])
    assert before["jti"] != after["jti"]
    assert api.me(second["accessToken"]).status_code == 200


def test_two_tabs_get_the_same_successor(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    first = api.refresh(token).get_json()
    clock.shift(10)
    second = api.refresh(token).get_json()
    assert second["refreshToken"] == first["refreshToken"]
    assert api.me(second["accessToken"]).status_code == 200
    assert api.refresh(first["refreshToken"]).status_code == 200


def test_reused_refresh_token_ends_the_login(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    stolen = api.tokens()["refreshToken"]
    newest = api.refresh(stolen).get_json()
    clock.shift(10.1)
    assert_problem(api.refresh(stolen), 401, "refresh_reused")
    (login,) = rows(app, RefreshToken)
    assert (login.revoked_reason, login.revoked_at) == ("reused", datetime.now(UTC))
    assert_problem(api.refresh(newest["refreshToken"]), 401, "refresh_revoked")
    assert_problem(api.me(newest["accessToken"]), 401, "token_revoked")


def test_the_grandparent_is_reuse_even_at_once(api: Api) -> None:
    grandparent = api.tokens()["refreshToken"]
    parent = api.refresh(grandparent).get_json()["refreshToken"]
    api.refresh(parent)
    assert_problem(api.refresh(grandparent), 401, "refresh_reused")


def test_reuse_ends_one_login_and_no_other(api: Api, clock: time_machine.Traveller) -> None:
    phone, laptop = api.tokens(), api.tokens()
    api.refresh(phone["refreshToken"])
    clock.shift(60)
    assert_problem(api.refresh(phone["refreshToken"]), 401, "refresh_reused")
    assert api.refresh(laptop["refreshToken"]).status_code == 200


def test_replays_do_not_move_the_window(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    api.refresh(token)
    for _ in range(2):
        clock.shift(5)
        assert api.refresh(token).status_code == 200
    clock.shift(0.1)
    assert_problem(api.refresh(token), 401, "refresh_reused")


def test_too_many_replays_change_nothing(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    newest = api.refresh(token).get_json()["refreshToken"]
    for _ in range(MAX_REPLAYS):
        assert api.refresh(token).status_code == 200
    before = rows(app, RefreshToken)[0].__dict__
    assert_problem(api.refresh(token), 429, "too_many_replays")
    after = rows(app, RefreshToken)[0].__dict__
    assert {**before, "_sa_instance_state": None} == {**after, "_sa_instance_state": None}
    assert api.refresh(newest).status_code == 200


def test_a_rotation_counts_replays_anew(api: Api, app: Flask) -> None:
    token = api.tokens()["refreshToken"]
    newest = api.refresh(token).get_json()["refreshToken"]
    api.refresh(token)
    assert rows(app, RefreshToken)[0].replays == 1
    api.refresh(newest)
    assert rows(app, RefreshToken)[0].replays == 0


# --- Idempotency-Key ------------------------------------------------------------------------------


def test_a_lost_answer_comes_again_for_its_key_whenever(
    api: Api, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    lost = api.refresh(token, key="k1").get_json()
    clock.shift(timedelta(days=13))
    found = api.refresh(token, key="k1").get_json()
    assert found["refreshToken"] == lost["refreshToken"]
    assert api.refresh(found["refreshToken"], key="k2").status_code == 200


def test_a_key_is_good_only_while_the_successor_is_unused(api: Api) -> None:
    token = api.tokens()["refreshToken"]
    successor = api.refresh(token, key="k1").get_json()["refreshToken"]
    api.refresh(successor, key="k2")
    assert_problem(api.refresh(token, key="k1"), 401, "refresh_reused")


@pytest.mark.parametrize("other_key", [None, "k2"])
def test_without_the_rotations_key_an_access_token_alone(api: Api, other_key: str | None) -> None:
    token = api.tokens()["refreshToken"]
    rotated = api.refresh(token, key="k1").get_json()
    answer = api.refresh(token, key=other_key).get_json()
    assert answer.keys() == {"accessToken", "tokenType", "expiresIn"}
    assert api.me(answer["accessToken"]).status_code == 200
    assert api.refresh(rotated["refreshToken"]).status_code == 200


@pytest.mark.parametrize("other_key", [None, "k2"])
def test_without_the_rotations_key_it_is_reuse_after_the_grace(
    api: Api, clock: time_machine.Traveller, other_key: str | None
) -> None:
    token = api.tokens()["refreshToken"]
    api.refresh(token, key="k1")
    clock.shift(11)
    assert_problem(api.refresh(token, key=other_key), 401, "refresh_reused")


def test_a_rotation_without_a_key_has_its_grace_for_a_retry_with_one(api: Api) -> None:
    token = api.tokens()["refreshToken"]
    rotated = api.refresh(token).get_json()
    again = api.refresh(token, key="k1").get_json()
    assert again["refreshToken"] == rotated["refreshToken"]


def test_keys_are_kept_hashed(api: Api, app: Flask) -> None:
    api.refresh(api.tokens()["refreshToken"], key="my-key")
    stored = rows(app, RefreshToken)[0].retry_key_hash
    assert stored is not None
    assert len(stored) == 64
    assert "my-key" not in stored


# --- lifetimes ------------------------------------------------------------------------------------


def test_a_refresh_token_expires(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    clock.shift(timedelta(days=14))
    assert_problem(api.refresh(token), 401, "refresh_expired")


def test_the_idle_lifetime_slides(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    for _ in range(3):
        clock.shift(timedelta(days=13))
        answer = api.refresh(token).get_json()
        assert answer["refreshExpiresIn"] == 14 * 86_400
        token = answer["refreshToken"]


def test_the_absolute_lifetime_always_ends_a_login(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    for _ in range(8):
        clock.shift(timedelta(days=11))
        answer = api.refresh(token).get_json()
        token = answer["refreshToken"]
    assert answer["refreshExpiresIn"] == 2 * 86_400
    clock.shift(timedelta(days=2, seconds=-60))
    last = api.refresh(token).get_json()
    assert (last["expiresIn"], last["refreshExpiresIn"]) == (60, 60)
    clock.shift(60)
    assert_problem(api.refresh(last["refreshToken"]), 401, "refresh_expired")
    assert_problem(api.refresh(token), 401, "refresh_expired")
    assert_problem(api.me(last["accessToken"]), 401, "token_revoked")


@pytest.mark.parametrize("lifetime", ["idle_expires_at", "absolute_expires_at"])
def test_the_row_decides_when_a_login_ends(
    api: Api, app: Flask, clock: time_machine.Traveller, lifetime: str
) -> None:
    token = api.tokens()["refreshToken"]
    execute(app, update(RefreshToken).values({lifetime: datetime.now(UTC)}))
    assert_problem(api.refresh(token), 401, "refresh_expired")
    assert rows(app, RefreshToken)[0].generation == 0


def test_an_expired_reuse_changes_nothing(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    old = api.tokens()["refreshToken"]
    clock.shift(timedelta(days=13))
    newest = api.refresh(old).get_json()["refreshToken"]
    clock.shift(timedelta(days=2))
    assert_problem(api.refresh(old), 401, "refresh_expired")
    assert rows(app, RefreshToken)[0].revoked_at is None
    assert api.refresh(newest).status_code == 200


def test_a_clock_that_is_set_back_logs_nobody_out(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    clock.shift(timedelta(hours=-1))
    assert api.refresh(token).status_code == 200


# --- who may not refresh --------------------------------------------------------------------------


def test_a_disabled_user_cannot_refresh(api: Api, app: Flask) -> None:
    token = api.tokens()["refreshToken"]
    app.test_cli_runner().invoke(args=["users", "disable", BOB["email"]], catch_exceptions=False)
    assert_problem(api.refresh(token), 401, "refresh_revoked")


def test_a_user_disabled_behind_our_back_cannot_refresh(api: Api, app: Flask) -> None:
    tokens = api.tokens()
    execute(app, update(User).values(disabled_at=datetime.now(UTC)))
    assert_problem(api.refresh(tokens["refreshToken"]), 401, "refresh_revoked")
    assert_problem(api.me(tokens["accessToken"]), 401, "token_revoked")


def test_a_token_from_the_future_changes_nothing(api: Api, app: Flask) -> None:
    """The database was restored from a backup that is older than the token."""
    token = api.tokens()["refreshToken"]
    newest = api.refresh(token).get_json()["refreshToken"]
    execute(app, update(RefreshToken).values(generation=0))
    assert_problem(api.refresh(newest), 401, "refresh_invalid")
    assert rows(app, RefreshToken)[0].revoked_at is None
    assert api.refresh(token).status_code == 200


def test_a_token_of_a_login_that_is_gone(api: Api, app: Flask) -> None:
    token = api.tokens()["refreshToken"]
    execute(app, delete(RefreshToken))
    assert_problem(api.refresh(token), 401, "refresh_invalid")


def test_a_failing_signature_leaves_the_token_unspent(
    api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = api.tokens()["refreshToken"]

    def fail(*_: Any, **__: Any) -> str:
        raise RuntimeError("no key")

    with monkeypatch.context() as patch:
        patch.setattr("keyturn.tokens.access.AccessTokens.issue", fail)
        assert_problem(api.refresh(token), 500, "internal_error")
    assert rows(app, RefreshToken)[0].generation == 0
    assert api.refresh(token).status_code == 200


def test_who_may_refresh_only_since_the_first_look_is_to_try_again(api: Api, app: Flask) -> None:
    token = api.tokens()["refreshToken"]
    with mock.patch("keyturn.auth.rotation.look_up", return_value=None):
        answer = api.refresh(token)
    assert_problem(answer, 503, "unavailable")
    assert rows(app, RefreshToken)[0].generation == 0
    assert api.refresh(token).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"User-Agent": "elsewhere/1.0"}])
def test_who_was_overtaken_after_the_first_look_gets_the_same_successor(
    api: Api, app: Flask, headers: dict[str, str]
) -> None:
    token = api.tokens()["refreshToken"]
    seen: list[Any] = []

    def overtaken(*asked: Any) -> Any:
        login = look_up(*asked)
        if not seen:
            seen.append(login)
            seen.append(Api(app.test_client()).refresh(token).get_json())
        return login

    with mock.patch("keyturn.auth.rotation.look_up", overtaken):
        answer = api.refresh(token, **headers).get_json()
    assert answer["refreshToken"] == seen[1]["refreshToken"]
    (login,) = rows(app, RefreshToken)
    assert (login.generation, login.replays) == (1, 1)


def test_eight_threads_with_one_token_get_one_generation(api: Api, app: Flask) -> None:
    token = api.tokens()["refreshToken"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: Api(app.test_client()).refresh(token), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.get_json()["refreshToken"] for answer in answers}) == 1
    (login,) = rows(app, RefreshToken)
    assert (login.generation, login.replays) == (1, 7)
