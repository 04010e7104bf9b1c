"""Moving house: every row from one database to another, counted and compared.

The tables are those of the models, so a table that is added later comes along. Secrets are not in
the database: with the same settings, tokens handed out before the move hold after it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, func, select

from keyturn.database import Base
from keyturn.errors import CopyRefusedError

BATCH = 1000  # rows


@dataclass
class Digest:
    """A count of rows, and a sum of their SHA-256 that does not depend on their order."""

    rows: int = 0
    total: int = field(default=0, repr=False)

    def add(self, rows: Iterable[Row[Any]]) -> None:
        """Count rows in: what their columns mean, however a database keeps UUIDs and times."""
        for row in rows:
            canonical = json.dumps(tuple(row), sort_keys=True, default=str).encode()
            self.rows += 1
            self.total += int.from_bytes(hashlib.sha256(canonical).digest(), "big")

    def __str__(self) -> str:
        return f"{self.total % 2**64:016x}"


def tables() -> Sequence[Table]:
    """Return all tables, each after those it refers to."""
    return Base.metadata.sorted_tables


def count(engine: Engine) -> int:
    """Return how many rows there are in all."""
    with engine.connect() as connection:
        return sum(_count(connection, table) for table in tables())


def copy(source: Engine, target: Engine, *, advance: Callable[[int], object]) -> dict[str, Digest]:
    """Copy every row in one transaction, and return a digest a table.

    `advance` is told how many more rows were copied. Raises `CopyRefusedError` where the target has
    rows already, or does not hold, in the end, what the source does; nothing is written then. The
    source is read as it was at one moment.
    """
    with _snapshot(source) as reading, target.begin() as writing:
        for table in tables():
            if _count(writing, table):
                raise CopyRefusedError(f"There are rows in {table.name} already.")
        return {table.name: _copy_table(reading, writing, table, advance) for table in tables()}


def _snapshot(engine: Engine) -> Connection:
    connection = engine.connect()
    if engine.dialect.name == "postgresql":  # SQLite's transactions are snapshots anyway
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def _copy_table(
    reading: Connection, writing: Connection, table: Table, advance: Callable[[int], object]
) -> Digest:
    sent = Digest()
    for rows in _batches(reading, table):
        sent.add(rows)
        writing.execute(table.insert(), [dict(row._mapping) for row in rows])  # noqa: SLF001 - SQLAlchemy's public name
        advance(len(rows))
    arrived = Digest()
    for rows in _batches(writing, table):
        arrived.add(rows)
    if arrived != sent:
        raise CopyRefusedError(f"{table.name} was {sent!r} and arrived as {arrived!r}.")
    return arrived


def _batches(connection: Connection, table: Table) -> Iterable[Sequence[Row[Any]]]:
    return connection.execute(select(table), execution_options={"yield_per": BATCH}).partitions()


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0
