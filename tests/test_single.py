"""A statement sent the shortest way does what SQLAlchemy does, and fails as it fails."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any, cast
from unittest import mock
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Integer, String, bindparam, func, literal_column, select, update
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import QueuePool

from keyturn import single, sqlite
from keyturn.auth.models import LOGINS, RefreshToken
from keyturn.database import UtcDateTime, db, transaction
from keyturn.single import change, look_up, look_up_all, run, writing
from tests.support.api import Api

LOGIN = select(*RefreshToken.__table__.c).where(
    RefreshToken.id == bindparam("id"),
    RefreshToken.absolute_expires_at > bindparam("at", type_=UtcDateTime),
)


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def wanted(api: Api, context: None) -> dict[str, Any]:
    api.tokens()
    login_id = db.session.scalars(select(RefreshToken.id)).one()
    return {"id": login_id, "at": datetime.now(UTC)}


def lent() -> int:
    """How many connections are out: those at hand are not."""
    pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    db.session.close()
    is_sqlite = db.engine.dialect.name == "sqlite"
    return pool.checkedout() - (len(sqlite.at_hand(db.engine)) if is_sqlite else 0)


def test_a_row_is_the_one_that_sqlalchemy_gives(wanted: dict[str, Any]) -> None:
    found = look_up(LOGIN, wanted)
    usual = db.session.execute(LOGIN, wanted).one()
    assert tuple(found) == tuple(usual)
    assert found._fields == tuple(usual._fields)
    assert isinstance(found.id, UUID)
    assert found.created_at.tzinfo is UTC
    assert lent() == 0


@pytest.mark.usefixtures("wanted")
def test_where_nothing_is_found_there_is_none() -> None:
    assert look_up(LOGIN, {"id": uuid4(), "at": datetime.now(UTC)}) is None
    assert lent() == 0


RENAME = (
    update(LOGINS)
    .where(RefreshToken.id == bindparam("of"), RefreshToken.created_at <= bindparam("at"))
    .values(user_agent=bindparam("to", type_=String), client_changed=bindparam("is_new"))
)


def test_a_change_is_committed_and_counted(wanted: dict[str, Any]) -> None:
    step = {"of": wanted["id"], "at": wanted["at"], "to": "new/1.0", "is_new": True}
    with single.lent() as connection:
        assert change(RENAME, step, connection) == 1
        assert change(RENAME, {**step, "of": uuid4()}, connection) == 0
    assert lent() == 0
    (login,) = db.session.scalars(select(RefreshToken))
    assert (login.user_agent, login.client_changed) == ("new/1.0", True)


@pytest.mark.usefixtures("_only_sqlite")  # where a connection keeps how it writes
def test_a_change_is_on_disk_whatever_went_before(wanted: dict[str, Any]) -> None:
    with transaction(db.session(), durable=False):
        pass
    step = {"of": wanted["id"], "at": wanted["at"], "to": "new/1.0", "is_new": True}
    with single.lent() as connection:
        change(RENAME, step, connection)
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


@pytest.mark.usefixtures("context")
def test_a_failure_is_sqlalchemys_own_and_shows_no_values() -> None:
    broken = select(func.no_such_function(bindparam("secret", "hunter2")))
    with pytest.raises((OperationalError, ProgrammingError)) as caught:
        look_up(broken, {"secret": "hunter2"})
    assert "no_such_function" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not caught.value.connection_invalidated
    assert lent() == 0


@pytest.mark.usefixtures("context")
def test_a_connection_that_broke_is_not_lent_again() -> None:
    one = select(literal_column("1", Integer).label("one"))
    dialect = db.engine.dialect
    with db.engine.connect() as connection:
        before = connection.connection.dbapi_connection
    gone = dialect.loaded_dbapi.OperationalError("gone")
    with (
        mock.patch.object(dialect, "do_execute", side_effect=gone),
        mock.patch.object(dialect, "is_disconnect", return_value=True),
        pytest.raises(DBAPIError) as caught,
    ):
        look_up(one, {})
    assert caught.value.connection_invalidated
    with db.engine.connect() as connection:
        assert connection.connection.dbapi_connection is not before
    assert look_up(one, {}) == (1,)


@pytest.mark.usefixtures("context")
def test_where_no_connection_can_be_made_the_failure_is_sqlalchemys_own() -> None:
    dialect = db.engine.dialect
    db.engine.dispose()
    away = dialect.loaded_dbapi.OperationalError("away")
    with (
        mock.patch.object(dialect, "connect", side_effect=away),
        pytest.raises(OperationalError, match="away"),
    ):
        look_up(LOGIN, {"id": uuid4(), "at": datetime.now(UTC)})
    assert lent() == 0


def test_statements_may_share_a_connection(wanted: dict[str, Any]) -> None:
    step = {"of": wanted["id"], "at": wanted["at"], "to": "new/1.0", "is_new": True}
    with single.lent() as connection:
        before = look_up(LOGIN, wanted, connection)
        assert change(RENAME, step, connection) == 1
        assert look_up(LOGIN, wanted, connection).user_agent != before.user_agent
        assert lent() == 1
    assert lent() == 0


@pytest.mark.usefixtures("context", "_only_sqlite")
def test_the_connection_that_was_given_back_last_is_lent_next() -> None:
    with single.lent() as connection:
        first = connection.dbapi_connection
        with single.lent() as another:
            assert another.dbapi_connection is not first
    with single.lent() as connection:
        assert connection.dbapi_connection is first


@pytest.mark.usefixtures("context", "_only_sqlite")
def test_more_than_are_kept_at_hand_go_back_to_the_pool() -> None:
    with ExitStack() as stack:
        for _ in range(sqlite.MOST_AT_HAND + 2):
            stack.enter_context(single.lent())
    assert len(sqlite.at_hand(db.engine)) == sqlite.MOST_AT_HAND
    assert lent() == 0


@pytest.mark.usefixtures("context", "_only_sqlite")
def test_a_connection_with_a_transaction_left_over_goes_back_to_the_pool() -> None:
    with single.lent() as connection:
        driver = cast("sqlite3.Connection", connection.dbapi_connection)
        driver.execute("BEGIN IMMEDIATE")
    assert not driver.in_transaction
    assert sqlite.at_hand(db.engine) == []


@pytest.mark.usefixtures("context", "_only_sqlite")
def test_what_is_at_hand_is_closed_with_its_engine() -> None:
    with single.lent() as connection:
        driver = cast("sqlite3.Connection", connection.dbapi_connection)
    db.engine.dispose()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        driver.execute("SELECT 1")
    assert look_up(select(literal_column("1", Integer).label("one")), {}) == (1,)


def renamed() -> str:
    (login,) = db.session.scalars(select(RefreshToken))
    db.session.commit()
    return login.user_agent


def test_a_transaction_holds_all_that_is_sent_in_it_or_nothing(wanted: dict[str, Any]) -> None:
    step = {"of": wanted["id"], "at": wanted["at"], "to": "new/1.0", "is_new": True}
    before = renamed()
    with suppress(LookupError), writing() as connection:
        assert run(RENAME, step, connection) == 1
        raise LookupError
    assert renamed() == before
    assert lent() == 0
    with writing() as connection:
        assert run(RENAME, step, connection) == 1
    assert renamed() == "new/1.0"
    assert lent() == 0


def test_a_statement_may_join_the_transaction_of_a_session(wanted: dict[str, Any]) -> None:
    step = {"of": wanted["id"], "at": wanted["at"], "to": "new/1.0", "is_new": True}
    before = renamed()
    with suppress(LookupError), transaction(db.session()) as session:
        assert run(RENAME, step, session) == 1
        assert session.scalars(select(RefreshToken.user_agent)).one() == "new/1.0"
        raise LookupError
    assert renamed() == before


RENAMED = (
    update(LOGINS)
    .where(RefreshToken.id == bindparam("of"), RefreshToken.replays < 1)
    .values(user_agent="always the same")
    .returning(LOGINS.c.user_agent, LOGINS.c.created_at)
)


def test_what_a_statement_says_itself_is_sent_and_what_it_returns_read(
    wanted: dict[str, Any],
) -> None:
    with writing() as connection:
        login = look_up(RENAMED, {"of": wanted["id"]}, connection)
        (again,) = look_up_all(RENAMED, {"of": wanted["id"]}, connection)
    assert login == again
    assert login.user_agent == "always the same"
    assert login.created_at.tzinfo is UTC


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("is_broken", [False, True])
def test_a_transaction_that_cannot_be_committed_fails_as_sqlalchemys_own(is_broken: bool) -> None:  # noqa: FBT001 - a parameter of the test
    dialect = db.engine.dialect
    error = dialect.loaded_dbapi.OperationalError("no more")
    with (
        mock.patch.object(dialect, "do_commit", side_effect=error),
        mock.patch.object(dialect, "is_disconnect", return_value=is_broken),
        pytest.raises(OperationalError, match="no more") as caught,
        writing(),
    ):
        pass
    assert caught.value.connection_invalidated is is_broken
    assert lent() == 0
    with writing():
        assert lent() == 1
