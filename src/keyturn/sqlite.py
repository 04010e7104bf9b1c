"""All that is only SQLite's: pragmas, how a transaction begins, and whose turn it is to write.

The driver's own transaction handling is switched off, because it begins too late: a transaction
that reads first and writes then fails with "database is locked" as soon as another wrote between.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from sqlalchemy import Engine, PoolProxiedConnection, event
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from keyturn.errors import UnavailableError

_BEGIN = "sqlite_begin"
_DURABLE = "sqlite_durable"

# Execution option of a transaction that takes the write lock as it begins. Without it, a
# transaction takes its lock with its first write.
WRITING = {_BEGIN: "BEGIN IMMEDIATE"}

# Of a transaction that a power cut may undo, though it was committed: nothing waits for the disk.
FORGETTABLE = {_DURABLE: False}

_SYNCHRONOUS = "sqlite_synchronous"  # how a connection writes now

_PATIENCE = "sqlite_patience"  # seconds to wait for another writer

_AT_HAND = "sqlite_at_hand"  # connections that are lent next, without the pool
MOST_AT_HAND = 2  # as many as requests of a worker run at once


def configure(engine: Engine, *, busy_timeout: int, synchronous: str) -> None:
    """Prepare every connection of this engine. `busy_timeout` is in seconds.

    `synchronous` is FULL or NORMAL: whether a commit in WAL mode outlives a power cut, or only a
    crash of the process (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def on_connect(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_timeout * 1000:d}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.close()
        record.info[_DURABLE] = record.info[_SYNCHRONOUS] = synchronous

    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        write_durably(connection.connection, durable=options.get(_DURABLE, True))
        connection.exec_driver_sql(options.get(_BEGIN, "BEGIN"))

    def on_dispose(engine: Engine) -> None:
        while connection := take(engine):
            connection.invalidate()

    engine.update_execution_options(**{_PATIENCE: busy_timeout, _AT_HAND: []})
    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    event.listen(engine, "engine_disposed", on_dispose)


def write_durably(connection: PoolProxiedConnection, *, durable: bool = True) -> None:
    """Let what this connection writes from here on be on disk, or not yet, when it is committed."""
    level = connection.info[_DURABLE] if durable else "NORMAL"
    if connection.info[_SYNCHRONOUS] != level:
        _driver(connection).execute(f"PRAGMA synchronous = {level}")
        connection.info[_SYNCHRONOUS] = level


def begin_to_write(connection: PoolProxiedConnection, *, durable: bool = True) -> None:
    """Begin a transaction that takes the write lock."""
    write_durably(connection, durable=durable)
    _driver(connection).execute(WRITING[_BEGIN])


def take(engine: Engine) -> PoolProxiedConnection | None:
    """Take a connection that is at hand, if there is one.

    The pool lends any; but that takes several times as long as a guarded route's one statement.
    """
    try:
        return at_hand(engine).pop()
    except IndexError:
        return None


def keep(engine: Engine, connection: PoolProxiedConnection) -> bool:
    """Keep a connection at hand, if it is fit and not one too many; tell whether it was kept."""
    kept = at_hand(engine)
    is_fit = connection.is_valid and not _driver(connection).in_transaction
    if is_fit and len(kept) < MOST_AT_HAND:
        kept.append(connection)
        return True
    return False


def at_hand(engine: Engine) -> list[PoolProxiedConnection]:
    """Return the connections that are at hand; the last is taken next."""
    kept: list[PoolProxiedConnection] = engine.get_execution_options()[_AT_HAND]
    return kept


def _driver(connection: PoolProxiedConnection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.dbapi_connection)


@contextmanager
def turn_to_write(engine: Engine) -> Iterator[None]:
    """Wait for one's turn among the writers of all threads and processes.

    SQLite itself wakes nobody: who finds the lock taken sleeps, longer each time, while others
    overtake. Here the kernel wakes who waits; only who asks at that very moment can be faster. Each
    turn opens the file anew, so that threads and forked processes exclude each other alike (flock
    belongs to the open file), and a process that dies gives its turn back. Raises
    `UnavailableError` where there can be no such file beside the database, and where the turn came
    later than the busy timeout: behind a writer that is stuck, each would wait for all before it.
    """
    try:
        queue = os.open(f"{engine.url.database}.lock", os.O_WRONLY | os.O_CREAT, 0o666)
    except OSError as error:
        raise UnavailableError(retry_after=1) from error
    try:
        asked = time.monotonic()
        fcntl.flock(queue, fcntl.LOCK_EX)
        if time.monotonic() - asked > engine.get_execution_options()[_PATIENCE]:
            raise UnavailableError(retry_after=1)
        yield
    finally:
        os.close(queue)
