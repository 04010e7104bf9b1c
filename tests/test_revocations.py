"""The feed of ended logins: whatever ends one, other services hear of it, once and in time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from keyturn import clock as keyturn_clock
from keyturn.auth import revocations
from keyturn.auth.models import RefreshToken, Revocation
from keyturn.database import db, transaction
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.clock import zulu
from tests.support.database import rows, statements
from tests.support.services import Service, make_service_token

GOOD = "correct horse battery"
LIFETIME = 900 + 5  # seconds: ACCESS_TTL and LEEWAY


@pytest.fixture
def service(client: FlaskClient, service_token: str) -> Service:
    return Service(client, service_token)


def end_some(app: Flask, count: int, now: datetime | None = None) -> list[str]:
    """Publish logins as ended, in one transaction."""
    ids = [uuid4() for _ in range(count)]
    with app.app_context(), transaction(db.session()) as session:
        revocations.publish(session, ids, now or keyturn_clock.now())
    return [str(one) for one in ids]


def end_one(app: Flask, now: datetime | None = None) -> str:
    (one,) = end_some(app, 1, now)
    return one


# --- what is in it --------------------------------------------------------------------------------


def test_a_logout_is_told_with_its_time(
    api: Api, service: Service, clock: time_machine.Traveller
) -> None:
    tokens = api.tokens()
    (session,) = api.sessions(tokens["accessToken"])
    assert service.feed()["revocations"] == []
    api.logout(tokens["refreshToken"])
    answer = service.ask_revocations()
    document = answer.get_json()
    assert document.keys() == {"revocations", "next"}
    assert document["revocations"] == [{"sid": session["id"], "revokedAt": zulu()}]
    assert answer.headers["Cache-Control"] == "private, max-age=2"


def by_logout(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    api.logout(tokens["refreshToken"])


def by_its_user(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    (session,) = api.sessions(tokens["accessToken"])
    api.send("DELETE", f"/auth/sessions/{session['id']}", tokens["accessToken"])


def by_logging_out_everywhere(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    api.send("DELETE", "/auth/sessions", tokens["accessToken"])


def by_reuse(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    successor = api.refresh(tokens["refreshToken"]).get_json()["refreshToken"]
    api.refresh(successor)
    assert_problem(api.refresh(tokens["refreshToken"]), 401, "refresh_reused")


def by_an_operator(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    run("sessions", "revoke", "--user", BOB["email"])


def by_a_new_password(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    run("users", "set-password", BOB["email"], "--password-stdin", stdin=GOOD)


def by_disabling_its_user(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    run("users", "disable", BOB["email"])


def by_deleting_its_user(api: Api, run: Callable[..., object], tokens: dict[str, str]) -> None:
    run("users", "delete", BOB["email"], "--yes")


@pytest.mark.parametrize(
    "end",
    [
        by_logout,
        by_its_user,
        by_logging_out_everywhere,
        by_reuse,
        by_an_operator,
        by_a_new_password,
        by_disabling_its_user,
        by_deleting_its_user,
    ],
)
def test_however_a_login_ends_it_is_told_once(
    api: Api,
    app: Flask,
    service: Service,
    end: Callable[[Api, Callable[..., object], dict[str, str]], None],
) -> None:
    def run(*arguments: str, stdin: str | None = None) -> None:
        result = app.test_cli_runner().invoke(args=list(arguments), input=stdin)
        assert result.exit_code == 0, result.output

    tokens = api.tokens(BOB)
    (session,) = api.sessions(tokens["accessToken"])
    johns = api.tokens(JOHN)
    end(api, run, tokens)
    api.logout(tokens["refreshToken"])  # ends nothing any more
    assert service.revoked() == [session["id"]]
    assert api.me(johns["accessToken"]).status_code == 200


def test_a_new_password_of_ones_own_ends_all_other_logins(api: Api, service: Service) -> None:
    others = {str(api.sessions(api.tokens()["accessToken"])[0]["id"]) for _ in range(3)}
    here = api.tokens()["accessToken"]
    change = {"currentPassword": BOB["password"], "newPassword": GOOD}
    assert api.send("PUT", "/users/me/password", here, change).status_code == 204
    revoked = service.revoked()
    assert len(revoked) == 3
    assert set(revoked) == others


def test_of_a_deleted_user_nothing_stays_but_the_ids_of_logins(
    api: Api, app: Flask, service: Service
) -> None:
    api.tokens()
    app.test_cli_runner().invoke(args=["users", "delete", BOB["email"], "--yes"])
    assert rows(app, RefreshToken) == []
    (left,) = rows(app, Revocation)
    assert {column.name for column in Revocation.__table__.columns} == {"position", "login_id"}
    assert [str(left.login_id)] == service.revoked()


def test_a_login_that_merely_expires_is_not_told(
    api: Api, service: Service, clock: time_machine.Traveller
) -> None:
    api.tokens()
    clock.shift(timedelta(days=91))
    api.tokens()
    assert service.revoked() == []


# --- for how long ---------------------------------------------------------------------------------


def test_a_login_is_told_for_as_long_as_its_access_tokens_may_be_in_date(
    app: Flask, service: Service, clock: time_machine.Traveller
) -> None:
    ended = end_one(app)
    clock.shift(LIFETIME - 1)
    assert service.revoked() == [ended]
    clock.shift(1)
    assert service.revoked() == []


def test_the_longest_lifetime_is_kept_and_little_more(
    settings: dict[str, str],
    request: pytest.FixtureRequest,
    clock: time_machine.Traveller,
) -> None:
    settings |= {"ACCESS_TTL": "3600", "LEEWAY": "300"}
    app = request.getfixturevalue("app")
    service = Service(app.test_client(), make_service_token(app))
    first = end_one(app)
    clock.shift(3600 + 300 - 1)
    second = end_one(app)
    assert service.revoked() == [first, second]
    clock.shift(timedelta(hours=3))
    third = end_one(app)
    assert [str(row.login_id) for row in rows(app, Revocation)] == [third]


# --- from where on --------------------------------------------------------------------------------


def test_a_cursor_brings_what_came_after_it(
    app: Flask, service: Service, clock: time_machine.Traveller
) -> None:
    first = end_one(app)
    page = service.feed()
    clock.shift(1)
    assert service.feed(page["next"]) == {"revocations": [], "next": page["next"]}
    second, third = end_one(app), end_one(app)
    assert service.revoked(page["next"]) == [second, third]
    assert service.revoked() == [first, second, third]


def test_many_that_end_at_one_time_are_told_page_by_page_none_twice(
    app: Flask, service: Service, clock: time_machine.Traveller
) -> None:
    ended = end_some(app, 2 * revocations.PAGE + 1)
    told: list[str] = []
    cursor = None
    sizes: list[int] = []
    while not sizes or sizes[-1]:
        page = service.feed(cursor)
        told += [entry["sid"] for entry in page["revocations"]]
        sizes.append(len(page["revocations"]))
        cursor = page["next"]
    assert sizes == [revocations.PAGE, revocations.PAGE, 1, 0]
    assert told == ended


def test_a_host_whose_clock_is_behind_is_not_overlooked(
    app: Flask, service: Service, clock: time_machine.Traveller
) -> None:
    """Its transaction commits later and has the earlier time."""
    end_one(app)
    cursor = service.feed()["next"]
    late = end_one(app, keyturn_clock.now() - timedelta(seconds=90))
    assert service.revoked(cursor) == [late]


def test_a_cursor_of_another_time_brings_all_there_is(
    app: Flask, service: Service, clock: time_machine.Traveller
) -> None:
    """A clock that was wrong, a reader that was away: told twice is better than not at all."""
    ended = end_one(app)
    beyond = str(int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1_000_000))
    for cursor in ("0", beyond):
        assert service.revoked(cursor) == [ended]


@pytest.mark.parametrize("since", ["", "x", "-1", "1.5", "\u0661", "1\n", "9" * 19])
def test_what_is_no_cursor_is_refused(service: Service, since: str) -> None:
    problem = assert_problem(service.ask_revocations(since=since), 422, "validation_failed")
    assert problem["errors"].keys() == {"since"}


def test_a_query_nobody_understands_is_refused(service: Service) -> None:
    assert_problem(service.ask_revocations(until="1"), 422, "validation_failed")


# --- how it is read and written -------------------------------------------------------------------


def test_no_ending_is_missed_while_many_end_logins_at_once(app: Flask, service: Service) -> None:
    """Every reader that goes on from its last answer sees all, whoever commits when."""
    skews = [timedelta(milliseconds=50 * number) for number in range(4)]

    def end_often(skew: timedelta) -> set[str]:
        return {end_one(app, keyturn_clock.now() - skew) for _ in range(40)}

    told: list[str] = []
    cursor = None
    with ThreadPoolExecutor(len(skews)) as pool:
        work = [pool.submit(end_often, skew) for skew in skews]
        while True:
            over = all(one.done() for one in work)
            page = service.feed(cursor)
            told += [entry["sid"] for entry in page["revocations"]]
            cursor = page["next"]
            if over and not page["revocations"]:
                break
    assert len(told) == len(set(told))
    assert set(told) == set().union(*(one.result() for one in work))


@pytest.mark.usefixtures("_only_postgresql")
def test_who_ends_logins_waits_for_who_has_not_committed(app: Flask) -> None:
    with app.app_context(), transaction(db.session()) as first:
        revocations.publish(first, [uuid4()], keyturn_clock.now())
        with Session(db.engine) as second:
            second.execute(text("SET LOCAL lock_timeout = '20ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                revocations.publish(second, [uuid4()], keyturn_clock.now())


@pytest.mark.usefixtures("clock")
def test_the_feed_is_one_statement_besides_the_guards(app: Flask, service: Service) -> None:
    end_one(app)
    with statements(app) as sent:
        service.feed()
    guard, feed = sent
    assert "service_tokens" in guard
    assert "revocations" in feed


@pytest.mark.usefixtures("_only_sqlite")
@pytest.mark.parametrize("name", ["_READ", "_FORGET"])
def test_the_feed_is_read_and_shortened_by_its_index(app: Flask, name: str) -> None:
    with app.app_context(), db.engine.connect() as connection:
        plan = explain(connection, "EXPLAIN QUERY PLAN", name)
    assert [line.detail for line in plan] == [  # and nothing is sorted
        f"SEARCH revocations USING INTEGER PRIMARY KEY (rowid{'>' if name == '_READ' else '<'}?)"
    ]


@pytest.mark.usefixtures("_only_postgresql")
@pytest.mark.parametrize("name", ["_READ", "_FORGET"])
def test_the_feed_is_read_and_shortened_by_its_index_on_postgresql(app: Flask, name: str) -> None:
    with app.app_context(), db.engine.connect() as connection:
        for way in ("seqscan", "bitmapscan"):  # what a table of few rows is read by
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        plan = "\n".join(line[0] for line in explain(connection, "EXPLAIN", name))
    assert "Index Scan using pk_revocations" in plan
    assert "Index Cond" in plan
    assert "Sort" not in plan


def explain(connection: Connection, how: str, name: str) -> Sequence[Any]:
    compiled = getattr(revocations, name).compile(connection)
    values = compiled.construct_params({"after": 1, "before": 1})
    if compiled.positiontup:
        values = tuple(values[name] for name in compiled.positiontup)
    return connection.exec_driver_sql(f"{how} {compiled}", values).all()
