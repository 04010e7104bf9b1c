"""A database that cannot serve: 503 while it lasts, nothing half done, and no restart after."""

import fcntl
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from werkzeug.test import TestResponse

from keyturn.auth.models import RefreshToken
from keyturn.database import db
from tests.support.api import BOB, Api, assert_problem
from tests.support.database import rows, wait_for_no_lock


def assert_unavailable(answer: TestResponse) -> None:
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


@contextmanager
def locked(app: Flask) -> Iterator[None]:
    """Another program writes, and takes long."""
    with app.app_context():
        other = sqlite3.connect(str(db.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.rollback()
    other.close()


@pytest.mark.usefixtures("_only_sqlite")
def test_a_busy_database_is_503_and_the_token_stays_unspent(api: Api, app: Flask) -> None:
    wait_for_no_lock(app)
    tokens = api.tokens()
    with locked(app):
        assert_unavailable(api.refresh(tokens["refreshToken"]))
        assert_unavailable(api.logout(tokens["refreshToken"]))
        assert_unavailable(api.login())
        assert api.me(tokens["accessToken"]).status_code == 200  # who only reads does not wait
    refreshed = api.refresh(tokens["refreshToken"]).get_json()
    assert refreshed["refreshToken"] != tokens["refreshToken"]
    assert api.refresh(refreshed["refreshToken"]).status_code == 200


@pytest.mark.usefixtures("_only_sqlite")
def test_who_waited_too_long_for_a_turn_does_not_take_it(
    api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a writer that is stuck each would wait for all before it, and longer each time."""
    token = api.tokens()["refreshToken"]
    flock, monotonic = fcntl.flock, time.monotonic

    with monkeypatch.context() as patched:

        def flock_after_six_seconds(file: IO[bytes], operation: int) -> None:
            flock(file, operation)
            patched.setattr(time, "monotonic", lambda: monotonic() + 6)

        patched.setattr(fcntl, "flock", flock_after_six_seconds)
        assert_unavailable(api.refresh(token))
    assert [login.generation for login in rows(app, RefreshToken)] == [0]
    assert api.refresh(token).status_code == 200


def limit_pages(app: Flask) -> Callable[[], None]:
    """Let the file not grow any more; return what lets it grow again."""

    def limit(connection: DBAPIConnection, *_: object) -> None:
        connection.cursor().execute("PRAGMA max_page_count = 1")  # as many as there are

    with app.app_context():
        engine = db.engine
    event.listen(engine, "checkout", limit)

    def lift() -> None:
        event.remove(engine, "checkout", limit)
        engine.dispose()

    return lift


@pytest.mark.usefixtures("_only_sqlite")
def test_a_full_disk_is_503_and_no_refresh_is_half_done(api: Api, app: Flask) -> None:
    lift = limit_pages(app)
    tokens = []
    while (answer := api.login(BOB, **{"User-Agent": "short"})).status_code == 200:
        tokens.append(answer.get_json()["refreshToken"])
    assert_unavailable(answer)

    # A row that grows asks for a page sooner or later.
    answers = [api.refresh(token, **{"User-Agent": "x" * 512}) for token in tokens]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    for answer in refused:
        assert_unavailable(answer)

    lift()
    for token, answer in zip(tokens, answers, strict=True):
        done = answer.status_code == 200
        assert api.refresh(answer.get_json()["refreshToken"] if done else token).status_code == 200
    generations = sorted(login.generation for login in rows(app, RefreshToken))
    assert generations == sorted(1 + (answer.status_code == 200) for answer in answers)
