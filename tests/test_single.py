"""A statement sent the shortest way does what SQLAlchemy does, and fails as it fails."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Integer, String, bindparam, func, literal_column, select, update
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import QueuePool

from keyturn import single
from keyturn.auth.models import LOGINS, RefreshToken
from keyturn.database import UtcDateTime, db, transaction
from keyturn.single import change, look_up
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
    """How many connections are out."""
    pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    db.session.close()
    return pool.checkedout()


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
    assert change(RENAME, step) == 1
    assert lent() == 0
    (login,) = db.session.scalars(select(RefreshToken))
    assert (login.user_agent, login.client_changed) == ("new/1.0", True)
    assert change(RENAME, {**step, "of": uuid4()}) == 0


@pytest.mark.usefixtures("_only_sqlite")  # where a connection keeps how it writes
def test_a_change_is_on_disk_whatever_went_before(wanted: dict[str, Any]) -> None:
    with transaction(db.session(), durable=False):
        pass
    change(RENAME, {"of": wanted["id"], "at": wanted["at"], "to": "new/1.0", "is_new": True})
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
