"""Single statements, which need no session: each by itself, or some over one connection.

What every guarded request and every refresh sends goes the shortest way: SQLAlchemy's compiler
writes the statement and its types convert the values, once for all requests; its pool lends the
connection; but nothing of an execution's bookkeeping is set up, which cost more than all the rest
together.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, PoolProxiedConnection, Row, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from keyturn import sqlite
from keyturn.database import db, turn_to_write

_Converter = Callable[[Any], Any]
_Statement = Select[*tuple[Any, ...]] | Update


@contextmanager
def lent() -> Iterator[PoolProxiedConnection]:
    """Lend a connection, to send several statements over it. Raises `DBAPIError`."""
    engine = db.engine
    try:
        connection = engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as error:
        raise _failure(engine.dialect, error) from error
    with closing(connection):
        yield connection


def look_up(
    statement: Select[*tuple[Any, ...]],
    parameters: Mapping[str, Any],
    over: PoolProxiedConnection | None = None,
) -> Any:
    """Return the one row that a single SELECT finds, a named tuple, or None.

    The statement is one that a module keeps, looks by a unique key, and gets each value as a
    parameter of its own. It is sent `over` a connection that is lent, or one of its own. Raises
    `DBAPIError` as SQLAlchemy does.
    """
    with _ready(statement, over) as (prepared, connection):
        return prepared.one(connection, parameters)


def change(
    statement: Update, parameters: Mapping[str, Any], over: PoolProxiedConnection | None = None
) -> int:
    """Return how many rows a single UPDATE changed; it is committed, and on disk.

    The statement is as one of `look_up`. On SQLite it takes its turn among the writers.
    """
    with _ready(statement, over) as (prepared, connection), turn_to_write(db.engine):
        if prepared.dialect.name == "sqlite":
            sqlite.write_durably(connection)
        changed = prepared.count(connection, parameters)
        prepared.dialect.do_commit(connection)
        return changed


def look_up_all(
    statement: Select[*tuple[Any, ...]], parameters: dict[str, Any]
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return the rows that a single SELECT finds."""
    with db.engine.connect() as connection:
        return connection.execution_options(**sqlite.READING).execute(statement, parameters).all()


@contextmanager
def _ready(
    statement: _Statement, over: PoolProxiedConnection | None
) -> Iterator[tuple["_Prepared", PoolProxiedConnection]]:
    prepared = _prepared(statement, db.engine.dialect)
    with nullcontext(over) if over else lent() as connection:
        try:
            yield prepared, connection
        except prepared.dialect.loaded_dbapi.Error as error:
            raise _failure(prepared.dialect, error, connection, prepared.text) from error


def _failure(
    dialect: Dialect,
    error: Exception,
    connection: PoolProxiedConnection | None = None,
    text: str | None = None,
) -> Exception:
    """Return the error as SQLAlchemy has it, without values; let a broken connection go."""
    is_broken = dialect.is_disconnect(error, connection, None)  # type: ignore[arg-type] # an Error
    if is_broken and connection is not None:
        connection.invalidate(error)
    return DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_broken,
        dialect=dialect,
    )


@lru_cache(maxsize=64)
def _prepared(statement: _Statement, dialect: Dialect) -> "_Prepared":
    return _Prepared.of(statement, dialect)


@dataclass(frozen=True)
class _Prepared:
    """A statement as one kind of database is sent it. A converter of None leaves values be."""

    dialect: Dialect
    text: str
    binds: tuple[tuple[str, _Converter | None], ...]
    columns: tuple[_Converter | None, ...]
    row: Callable[..., Any]

    @classmethod
    def of(cls, statement: _Statement, dialect: Dialect) -> "_Prepared":
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - as every statement's is
        names = compiled.positiontup if compiled.positional else compiled.binds
        columns = statement.selected_columns if isinstance(statement, Select) else ()
        return cls(
            dialect=dialect,
            text=str(compiled),
            binds=tuple(
                (name, _type(compiled.binds[name].type, dialect).bind_processor(dialect))
                for name in names or ()
            ),
            columns=tuple(
                _type(column.type, dialect).result_processor(dialect, None) for column in columns
            ),
            row=namedtuple("Row", [column.name for column in columns], rename=True),  # noqa: PYI024 - only the statement knows the names
        )

    def count(self, connection: PoolProxiedConnection, parameters: Mapping[str, Any]) -> int:
        """Return how many rows the statement concerned."""
        with closing(connection.cursor()) as cursor:
            self.dialect.do_execute(cursor, self.text, self._bound(parameters))
            return int(cursor.rowcount)

    def one(self, connection: PoolProxiedConnection, parameters: Mapping[str, Any]) -> Any:
        """Return the row it finds, or None."""
        with closing(connection.cursor()) as cursor:
            self.dialect.do_execute(cursor, self.text, self._bound(parameters))
            found = cursor.fetchone()
        if found is None:
            return None
        return self.row(
            *(
                value if convert is None else convert(value)
                for convert, value in zip(self.columns, found, strict=True)
            )
        )

    def _bound(self, parameters: Mapping[str, Any]) -> Any:
        values = [
            (name, parameters[name] if convert is None else convert(parameters[name]))
            for name, convert in self.binds
        ]
        return tuple(value for _, value in values) if self.dialect.positional else dict(values)


def _type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)
