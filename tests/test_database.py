"""The database as it is configured, and its migrations."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import flask_migrate
import pytest
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from keyturn.auth.models import RefreshToken
from keyturn.database import db, transaction
from keyturn.users.models import User
from tests.support.api import Api, assert_problem
from tests.support.database import execute, rows, wait_for_no_lock


@pytest.mark.usefixtures("_only_sqlite")
def test_sqlite_keeps_what_it_answered(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


def test_the_connection_that_was_used_last_is_used_next(app: Flask) -> None:
    with app.app_context():
        lent = [db.engine.raw_connection() for _ in range(3)]
        drivers = [connection.dbapi_connection for connection in lent]
        for at in (1, 0, 2):
            lent[at].close()
        again = [db.engine.raw_connection() for _ in range(3)]
        assert [connection.dbapi_connection for connection in again] == [
            drivers[at] for at in (2, 0, 1)
        ]
        for connection in again:
            connection.close()


def test_a_deleted_user_leaves_no_logins(api: Api, app: Flask) -> None:
    api.tokens()
    execute(app, User.__table__.delete())  # type: ignore[attr-defined] # a Table
    assert rows(app, RefreshToken) == []


def test_times_come_out_as_they_went_in_in_utc(app: Flask) -> None:
    tokyo = datetime(2026, 11, 24, 21, 0, 0, 123456, timezone(timedelta(hours=9)))
    with app.app_context(), transaction(db.session()) as session:
        session.add(User(name="A", email="a@example.com", password_hash="!", created_at=tokyo))
    stored = next(user for user in rows(app, User) if user.name == "A").created_at
    assert stored == tokyo
    assert stored.tzinfo is UTC


def test_a_time_without_its_zone_is_refused(app: Flask) -> None:
    naive = datetime(2026, 11, 24)  # noqa: DTZ001 - what is to be refused
    user = User(name="A", email="a@example.com", password_hash="!", created_at=naive)
    with (
        app.app_context(),
        pytest.raises(StatementError, match="zone"),
        transaction(db.session()) as session,
    ):
        session.add(user)


def test_emails_are_unique(app: Flask) -> None:
    (first, *_) = rows(app, User)
    with app.app_context(), pytest.raises(IntegrityError), transaction(db.session()) as session:
        session.add(
            User(name="A", email=first.email, password_hash="!", created_at=first.created_at)
        )


def test_a_write_after_a_read_waits_for_nobody_who_wrote_between(app: Flask) -> None:
    """With SQLite's deferred transactions this fails with "database is locked"."""
    with app.app_context():
        session = db.session()
        user = session.scalars(db.select(User)).first()
        with db.engine.connect() as other:
            other.execute(text("UPDATE users SET name = 'other'"))
            other.commit()
        assert user is not None
        with transaction(session):
            session.execute(text("UPDATE users SET name = 'mine'"))
    assert {user.name for user in rows(app, User)} == {"mine"}


@pytest.mark.usefixtures("_only_sqlite")
def test_a_write_takes_the_lock_as_it_begins(app: Flask) -> None:
    wait_for_no_lock(app)
    with app.app_context(), transaction(db.session()), db.engine.connect() as other:
        other.execute(text("SELECT 1 FROM users"))
        with pytest.raises(OperationalError, match="locked"):
            other.execute(text("UPDATE users SET name = 'other'"))


@pytest.mark.usefixtures("_only_sqlite")
def test_writers_take_turns_instead_of_waiting_for_luck(app: Flask) -> None:
    """Connections that wait for no lock would be refused by the first they met: they meet none."""
    wait_for_no_lock(app)
    tokens = [Api(app.test_client()).tokens()["refreshToken"] for _ in range(8)]

    def refresh_often(token: str) -> set[int]:
        api = Api(app.test_client())
        statuses = set()
        for _ in range(20):
            answer = api.refresh(token)
            statuses.add(answer.status_code)
            token = answer.get_json().get("refreshToken", token)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(refresh_often, tokens)) == {200}


def test_only_what_may_be_forgotten_does_not_wait_for_the_disk(app: Flask) -> None:
    with app.app_context():
        session = db.session()
        sqlite = db.engine.dialect.name == "sqlite"
        ask = text("PRAGMA synchronous" if sqlite else "SHOW synchronous_commit")
        if not sqlite:  # the tests' own server waits for no disk
            session.execute(text("SET synchronous_commit = on"))
        with transaction(session, durable=False):
            assert session.scalar(ask) == (1 if sqlite else "off")  # NORMAL
        with transaction(session):
            assert session.scalar(ask) == (2 if sqlite else "on")  # FULL


def test_models_and_migrations_agree(app: Flask) -> None:
    with app.app_context():
        flask_migrate.check()  # exits where they differ


def test_there_is_one_head(app: Flask) -> None:
    assert len(ScriptDirectory("migrations").get_heads()) == 1


def test_migrations_go_down_and_up_again(api: Api, app: Flask) -> None:
    with app.app_context():
        flask_migrate.downgrade(revision="base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        flask_migrate.upgrade()
        with db.engine.connect() as connection:
            heads = MigrationContext.configure(connection).get_current_heads()
    assert list(heads) == ScriptDirectory("migrations").get_heads()
    assert_problem(api.login(), 401, "invalid_credentials")


@pytest.mark.usefixtures("_only_sqlite")
def test_a_migration_does_not_switch_foreign_keys_off_for_good(app: Flask) -> None:
    with app.app_context():
        flask_migrate.upgrade()
        with db.engine.connect() as connection:
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
