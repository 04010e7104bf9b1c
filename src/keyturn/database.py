"""The database: base of the models, one type for times, and the write transaction."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar
from zlib import crc32

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    Table,
    create_engine,
    func,
    literal,
    select,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.types import TypeDecorator

from keyturn import sqlite
from keyturn.config import Settings
from keyturn.errors import ConfigurationError

_P = ParamSpec("_P")
_R = TypeVar("_R")

_ATTEMPTS = 10  # eight clients that spend one token under SERIALIZABLE need as many
_UNDONE = {"40001", "40P01"}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, in UTC on its way in and out, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the time in UTC. Raises `ValueError` for one without its zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone cannot be stored")
        return value if value.tzinfo is UTC else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the time, aware, in UTC."""
        if value is None:
            return None
        # SQLite keeps no zone.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all models. Constraints have names, so that migrations can speak of them."""

    registry = registry(
        metadata=MetaData(
            naming_convention={
                "ix": "ix_%(column_0_N_label)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_N_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={datetime: UtcDateTime},
    )


# Rows outlive their transaction as plain values; nothing is loaded behind a caller's back.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


# https://www.postgresql.org/docs/current/wal-async-commit.html
DO_NOT_WAIT = "SET LOCAL synchronous_commit = off"


@contextmanager
def transaction(session: Session, *, durable: bool = True) -> Iterator[Session]:
    """Run one write transaction: committed at its end, rolled back if anything is raised.

    One that is not `durable` does not wait for the disk: a power cut may undo it.

    On SQLite it takes the write lock first, so that what it reads stays true until it commits.
    A read that went before on this session is ended; its rows stay usable, as they were.
    """
    session.commit()
    with turn_to_write(session.get_bind().engine):
        options = sqlite.WRITING if durable else sqlite.WRITING | sqlite.FORGETTABLE
        connection = session.connection(execution_options=options)
        try:
            if not durable and connection.dialect.name == "postgresql":
                connection.exec_driver_sql(DO_NOT_WAIT)
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


@contextmanager
def batch(session: Session) -> Iterator[Session]:
    """Run one of many write transactions in a row, and pause for as long as it took.

    Otherwise whoever waits to write on SQLite could lose each turn to the next batch: a lock that
    is free goes to who asks first, not to who is still waking up.
    """
    began = time.monotonic()
    with transaction(session):
        yield session
    time.sleep(time.monotonic() - began)


def retried(use_case: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a use case again whose one transaction the database undid in favour of another's.

    That is where it could not be serialised (SQLSTATE 40001) or lost a deadlock (40P01): it surely
    left nothing behind. After a lost connection nobody knows; that is for the client to try again.
    """

    @wraps(use_case)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for _ in range(_ATTEMPTS - 1):
            try:
                return use_case(*args, **kwargs)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _UNDONE:
                    raise
        return use_case(*args, **kwargs)

    return run


def by_dialect(build: Callable[[Callable[[Table], Any]], _R]) -> Callable[[], _R]:
    """Return a statement that begins with INSERT … ON CONFLICT, by the database there is.

    SQLAlchemy's common language has no upsert; `build` makes one of either dialect's `insert`.
    """

    @cache
    def built(name: str) -> _R:
        # Not before it is needed: PostgreSQL's takes two megabytes.
        return build(import_module(f"sqlalchemy.dialects.{name}").insert)

    return lambda: built(db.engine.dialect.name)


def turn_to_write(engine: Engine) -> AbstractContextManager[None]:
    """Wait for one's turn to write where there can be but one writer: on SQLite."""
    return sqlite.turn_to_write(engine) if engine.dialect.name == "sqlite" else nullcontext()


def commit_in_turn(session: Session, what: str) -> None:
    """Let the transactions that write `what` pass one by one, each when the one before is over.

    So what they write from here on is in the order of their commits. A transaction has locked its
    rows before it takes its turn, or two could wait for each other. On SQLite it is alone anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        turn = literal(crc32(what.encode()), BigInteger)
        session.execute(select(func.pg_advisory_xact_lock(turn)))


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return how connections are pooled: one a thread, tried before use if over a network.

    Those that SQLite has at hand come on top: to the pool they are lent.
    """
    options: dict[str, Any] = {
        "pool_size": settings.threads,
        "max_overflow": 0,
        "pool_use_lifo": True,  # who was used last has the pages and statements of now
        "hide_parameters": True,  # an error's text must not show what was to be stored
    }
    if settings.database_url.get_backend_name() == "postgresql":
        timeouts = (
            f"-c lock_timeout={settings.postgres_lock_timeout}s"
            f" -c statement_timeout={settings.postgres_statement_timeout}s"
        )
        options |= {"pool_pre_ping": True, "connect_args": {"options": timeouts}}
    else:
        options["pool_size"] += sqlite.MOST_AT_HAND
    return options


@contextmanager
def engine_of(settings: Settings, *, said: str) -> Iterator[Engine]:
    """Open an engine of one's own, set up as the service's is.

    Raises `ConfigurationError` if it cannot be used, naming where its URL was `said`.
    """
    engine = create_engine(settings.database_url, **engine_options(settings))
    try:
        prepare(engine, settings, said=said)
        yield engine
    finally:
        engine.dispose()


def prepare(engine: Engine, settings: Settings, *, said: str = "DATABASE_URL") -> None:
    """Set the engine up and ask it once; raises `ConfigurationError` if it cannot be used."""
    if engine.dialect.name == "sqlite":
        sqlite.configure(
            engine,
            busy_timeout=settings.sqlite_busy_timeout,
            synchronous=settings.sqlite_synchronous,
        )
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        reason = str(error.args[0]).partition("\n")[0]
        raise ConfigurationError(f"{said} cannot be used: {reason}") from error
    engine.dispose()  # no connection crosses a fork
