"""Sessions: a user's logins, listed and ended; and logging out."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from keyturn.auth.models import RefreshToken
from tests.support.api import JOHN, Api, assert_problem
from tests.support.clock import zulu
from tests.support.database import rows


def test_the_list_shows_every_live_login(api: Api, clock: time_machine.Traveller) -> None:
    api.tokens(**{"User-Agent": "phone"})
    clock.shift(60)
    laptop = api.tokens(**{"User-Agent": "laptop"})
    api.tokens(JOHN)
    clock.shift(60)
    refreshed = api.refresh(laptop["refreshToken"], **{"User-Agent": "laptop"}).get_json()
    listed = api.sessions(refreshed["accessToken"])
    assert [(one["userAgent"], one["current"]) for one in listed] == [
        ("laptop", True),
        ("phone", False),
    ]
    assert {key: value for key, value in listed[0].items() if key != "id"} == {
        "userAgent": "laptop",
        "ipAddress": "127.0.0.1",
        "createdAt": zulu(-60),
        "lastUsedAt": zulu(),
        "expiresAt": zulu(14 * 86400),
        "current": True,
    }


def test_ended_and_expired_logins_are_not_listed(api: Api, clock: time_machine.Traveller) -> None:
    api.tokens()
    clock.shift(timedelta(days=14))
    gone = api.tokens()
    api.logout(gone["refreshToken"])
    here = api.tokens()
    assert len(api.sessions(here["accessToken"])) == 1


def test_one_session_can_be_ended(api: Api) -> None:
    phone, laptop = api.tokens(**{"User-Agent": "phone"}), api.tokens()
    listed = api.sessions(laptop["accessToken"])
    lost = next(one["id"] for one in listed if one["userAgent"] == "phone")
    answer = api.send("DELETE", f"/auth/sessions/{lost}", laptop["accessToken"])
    assert (answer.status_code, answer.data) == (204, b"")
    assert_problem(api.refresh(phone["refreshToken"]), 401, "refresh_revoked")
    assert_problem(api.me(phone["accessToken"]), 401, "token_revoked")
    assert api.me(laptop["accessToken"]).status_code == 200


def test_a_session_that_is_not_ones_own_is_404(api: Api) -> None:
    johns = api.tokens(JOHN)
    (session,) = api.sessions(johns["accessToken"])
    bobs = api.tokens()["accessToken"]
    for other in (session["id"], uuid4()):
        answer = api.send("DELETE", f"/auth/sessions/{other}", bobs)
        assert_problem(answer, 404, "session_not_found")
    assert_problem(api.send("DELETE", "/auth/sessions/1", bobs), 404, "not_found")
    assert api.me(johns["accessToken"]).status_code == 200


def test_an_ended_session_is_404_and_keeps_its_reason(api: Api, app: Flask) -> None:
    phone, laptop = api.tokens(), api.tokens()
    (ended,) = (one["id"] for one in api.sessions(laptop["accessToken"]) if not one["current"])
    api.logout(phone["refreshToken"])
    answer = api.send("DELETE", f"/auth/sessions/{ended}", laptop["accessToken"])
    assert_problem(answer, 404, "session_not_found")
    reasons = {str(login.id): login.revoked_reason for login in rows(app, RefreshToken)}
    assert reasons[ended] == "logout"


@pytest.mark.parametrize(("query", "status"), [("", 401), ("?keep=current", 200)])
def test_logging_out_everywhere(api: Api, query: str, status: int) -> None:
    phone, laptop, johns = api.tokens(), api.tokens(), api.tokens(JOHN)
    assert api.send("DELETE", f"/auth/sessions{query}", laptop["accessToken"]).status_code == 204
    assert api.me(phone["accessToken"]).status_code == 401
    assert api.me(laptop["accessToken"]).status_code == status
    assert api.me(johns["accessToken"]).status_code == 200


@pytest.mark.parametrize("query", ["keep=all", "keep=", "keeep=current", "keep=current&x=1"])
def test_a_query_nobody_understands_ends_nothing(api: Api, query: str) -> None:
    bobs = api.tokens()["accessToken"]
    answer = api.send("DELETE", f"/auth/sessions?{query}", bobs)
    assert_problem(answer, 422, "validation_failed")
    assert api.me(bobs).status_code == 200


def test_a_login_keeps_why_and_when_it_ended(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    spent = api.tokens()["refreshToken"]
    newest = api.refresh(api.refresh(spent).get_json()["refreshToken"]).get_json()
    assert_problem(api.refresh(spent), 401, "refresh_reused")
    before = [(login.revoked_at, login.revoked_reason) for login in rows(app, RefreshToken)]
    clock.shift(60)
    api.logout(newest["refreshToken"])
    after = [(login.revoked_at, login.revoked_reason) for login in rows(app, RefreshToken)]
    assert after == before
    assert before[0][1] == "reused"


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_logout_takes_effect_at_once(api: Api, app: Flask, method: str) -> None:
    tokens = api.tokens()
    answer = api.logout(tokens["refreshToken"], method)
    assert (answer.status_code, answer.data) == (204, b"")
    assert_problem(api.me(tokens["accessToken"]), 401, "token_revoked")
    assert_problem(api.refresh(tokens["refreshToken"]), 401, "refresh_revoked")
    assert rows(app, RefreshToken)[0].revoked_reason == "logout"


def test_logout_with_a_spent_token_ends_its_login(api: Api) -> None:
    spent = api.tokens()["refreshToken"]
    newest = api.refresh(api.refresh(spent).get_json()["refreshToken"]).get_json()
    assert api.logout(spent).status_code == 204
    assert_problem(api.me(newest["accessToken"]), 401, "token_revoked")


def without_id(answer: TestResponse) -> tuple[tuple[str, str], ...]:
    """The headers that do not differ from one request to the next by design."""
    return tuple((name, value) for name, value in answer.headers if name != "X-Request-ID")


def test_logout_tells_nothing(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["refreshToken"]
    known = api.logout(token)
    again = api.logout(token)
    clock.shift(timedelta(days=15))
    expired = api.logout(token)
    forged = api.logout(token[:-4] + "AAAA")
    nonsense = api.logout("x")
    answers = {
        (answer.status_code, answer.data, without_id(answer))
        for answer in (known, again, expired, forged, nonsense)
    }
    assert len(answers) == 1
    assert known.status_code == 204


def test_ids_never_start_over(api: Api, app: Flask) -> None:
    """The tutorial numbered from 1 again after each restart, so an old token met a new user."""
    first = api.sessions(api.tokens()["accessToken"])[0]["id"]
    ids = {str(login.id) for login in rows(app, RefreshToken)}
    assert ids == {first}
    assert len(first) == 36
