"""What the database remembers, and what it is asked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

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
def statements(app: Flask) -> Iterator[list[str]]:
    """Collect every statement that is sent meanwhile, but for the BEGIN that SQLite is sent."""
    sent: list[str] = []

    def record(*event_arguments: Any) -> None:
        if not event_arguments[2].startswith("BEGIN"):
            sent.append(event_arguments[2])

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", record)


def wait_for_no_lock(app: Flask) -> None:
    """Let SQLite's connections refuse the first lock they meet, instead of waiting for it."""

    def refuse(connection: DBAPIConnection, *_: object) -> None:
        connection.cursor().execute("PRAGMA busy_timeout = 0")

    with app.app_context():
        event.listen(db.engine, "checkout", refuse)
