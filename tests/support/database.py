"""What the database remembers, and what it is asked."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

from flask import Flask
from sqlalchemy import Executable, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection

from keyturn.database import Base, db, transaction

Model = TypeVar("Model", bound=Base)


def rows(app: Flask, model: type[Model]) -> Sequence[Model]:
    """All rows of a model, as they are now."""
    with app.app_context():
        return db.session.scalars(select(model)).all()


def execute(app: Flask, statement: Executable) -> None:
    """Change the database behind the service's back."""
    with app.app_context(), transaction(db.session()) as session:
        session.execute(statement)


@contextmanager
def listening(app: Flask, heard: Callable[[str, Any], None]) -> Iterator[None]:
    """Tell the text and the parameters of every statement that is sent meanwhile."""
    with app.app_context():
        dialect = db.engine.dialect

    def telling(send: Callable[..., None]) -> Callable[..., None]:
        def heard_and_sent(cursor: Any, statement: str, parameters: Any, *more: Any) -> None:
            heard(statement, parameters)
            send(cursor, statement, parameters, *more)

        return heard_and_sent

    # Here all pass, and not only those that SQLAlchemy executes.
    with (
        mock.patch.object(dialect, "do_execute", telling(dialect.do_execute)),
        mock.patch.object(dialect, "do_executemany", telling(dialect.do_executemany)),
    ):
        yield


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """Collect every statement that is sent meanwhile, but for the BEGIN that SQLite is sent."""
    sent: list[str] = []

    def record(statement: str, _: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    with listening(app, record):
        yield sent


def wait_for_no_lock(app: Flask) -> None:
    """Let SQLite's connections refuse the first lock they meet, instead of waiting for it."""

    def refuse(connection: DBAPIConnection, *_: object) -> None:
        connection.cursor().execute("PRAGMA busy_timeout = 0")

    with app.app_context():
        event.listen(db.engine, "checkout", refuse)
