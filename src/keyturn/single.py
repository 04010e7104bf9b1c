"""Single statements: each by itself, or some over one connection.

What every guarded request, refresh and login sends goes the shortest way: SQLAlchemy's compiler
writes the statement and its types convert the values, once for all requests; its pool lends the
connection, if on SQLite none is at hand; but nothing of an execution's bookkeeping is set up, which
cost more than all the rest together.

A statement is one that a module keeps, and gets each value as a parameter of its own. It is sent
`over` a session's connection, within its transaction, or over one that is lent.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

from sqlalchemy import Delete, Dialect, Engine, Insert, PoolProxiedConnection, Select, Update
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from keyturn import sqlite
from keyturn.database import DO_NOT_WAIT, db, turn_to_write

_T = TypeVar("_T")
_Converter = Callable[[Any], Any]
_Taking = Callable[["_Prepared", DBAPICursor], _T]
_Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete

Over = PoolProxiedConnection | Session


@contextmanager
def lent() -> Iterator[PoolProxiedConnection]:
    """Lend a connection, to send several statements over it. Raises `DBAPIError`."""
    engine = db.engine
    connection = _take(engine)
    try:
        yield connection
    finally:
        _give_back(engine, connection)


@contextmanager
def writing(*, durable: bool = True) -> Iterator[PoolProxiedConnection]:
    """Run one write transaction over a connection that is lent, as `database.transaction` does."""
    engine = db.engine
    dialect = engine.dialect
    with lent() as connection, turn_to_write(engine):
        try:
            _let(dialect, partial(_begin, dialect, durable=durable), connection)
            yield connection
            _let(dialect, dialect.do_commit, connection)
        except BaseException:
            if connection.is_valid:  # one that broke was let go, and its transaction with it
                _let(dialect, dialect.do_rollback, connection)
            raise


def look_up(statement: _Statement, parameters: Mapping[str, Any], over: Over | None = None) -> Any:
    """Return the one row that a statement finds or returns, a named tuple, or None.

    Without a connection, one is lent. Raises `DBAPIError` as SQLAlchemy does.
    """
    return _send(statement, parameters, over, _one)


def look_up_all(
    statement: _Statement, parameters: Mapping[str, Any], over: Over | None = None
) -> Sequence[Any]:
    """Return all rows that a statement finds or returns, as `look_up` does with one."""
    return _send(statement, parameters, over, _all)


def run(statement: _Statement, parameters: Mapping[str, Any], over: Over) -> int:
    """Return how many rows a statement changed, within the caller's transaction."""
    return _send(statement, parameters, over, _count)


def change(statement: Update, parameters: Mapping[str, Any], over: PoolProxiedConnection) -> int:
    """Return how many rows a single UPDATE changed; it is committed, and on disk.

    On SQLite it takes its turn among the writers, and there needs no BEGIN.
    """
    engine = db.engine
    dialect = engine.dialect
    with turn_to_write(engine):
        if dialect.name == "sqlite":
            sqlite.write_durably(over)
        changed = run(statement, parameters, over)
        _let(dialect, dialect.do_commit, over)
        return changed


def _begin(dialect: Dialect, connection: PoolProxiedConnection, *, durable: bool) -> None:
    if dialect.name == "sqlite":
        sqlite.begin_to_write(connection, durable=durable)
    elif not durable:
        with closing(connection.cursor()) as cursor:
            cursor.execute(DO_NOT_WAIT)


def _one(prepared: "_Prepared", cursor: DBAPICursor) -> Any:
    found = cursor.fetchone()
    return None if found is None else prepared.row_of(found)


def _all(prepared: "_Prepared", cursor: DBAPICursor) -> Sequence[Any]:
    return [prepared.row_of(found) for found in cursor.fetchall()]


def _count(_: "_Prepared", cursor: DBAPICursor) -> int:
    return cursor.rowcount


def _send(
    statement: _Statement, parameters: Mapping[str, Any], over: Over | None, take: _Taking[_T]
) -> _T:
    """Send a statement and return what is taken of its cursor."""
    engine = db.engine
    prepared = _prepared(statement, engine.dialect)
    if over is None:
        connection = _take(engine)
        try:
            return prepared.sent(connection, parameters, take)
        finally:
            _give_back(engine, connection)
    connection = over.connection().connection if isinstance(over, Session) else over
    return prepared.sent(connection, parameters, take)


def _take(engine: Engine) -> PoolProxiedConnection:
    """Take a connection. Raises `DBAPIError` as SQLAlchemy does."""
    if engine.dialect.name == "sqlite" and (kept := sqlite.take(engine)):
        return kept
    try:
        return engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as error:
        raise _failure(engine.dialect, error) from error


def _give_back(engine: Engine, connection: PoolProxiedConnection) -> None:
    if engine.dialect.name != "sqlite" or not sqlite.keep(engine, connection):
        connection.close()


def _let(
    dialect: Dialect,
    do: Callable[[PoolProxiedConnection], object],
    connection: PoolProxiedConnection,
) -> None:
    """Let the driver do something. Raises `DBAPIError` as SQLAlchemy does."""
    try:
        do(connection)
    except dialect.loaded_dbapi.Error as error:
        raise _failure(dialect, error, connection) from error


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
    """A statement as one kind of database is sent it. A converter of None leaves values be.

    `values` are the statement's own, which no parameter names, as they are sent. `places` is the
    order in which values are sent, None where they are sent by name.
    """

    dialect: Dialect
    text: str
    values: Mapping[str, Any]
    converters: tuple[tuple[str, _Converter | None], ...]
    places: tuple[str, ...] | None
    columns: tuple[tuple[int, _Converter], ...]
    row: Callable[..., Any]

    @classmethod
    def of(cls, statement: _Statement, dialect: Dialect) -> "_Prepared":
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - as every statement's is
        converters = {
            name: _type(bind.type, dialect).bind_processor(dialect)
            for name, bind in compiled.binds.items()
        }
        own = {name: bind.effective_value for name, bind in compiled.binds.items() if bind.unique}
        returned = _returned(statement)
        to_convert = (
            (place, _type(column.type, dialect).result_processor(dialect, None))
            for place, column in enumerate(returned)
        )
        return cls(
            dialect=dialect,
            text=str(compiled),
            values={
                name: value if (convert := converters[name]) is None else convert(value)
                for name, value in own.items()
            },
            converters=tuple(
                (name, convert) for name, convert in converters.items() if name not in own
            ),
            places=tuple(compiled.positiontup or ()) if compiled.positional else None,
            columns=tuple((place, convert) for place, convert in to_convert if convert),
            row=_row_type([column.name for column in returned]),
        )

    def sent(
        self, connection: PoolProxiedConnection, parameters: Mapping[str, Any], take: "_Taking[_T]"
    ) -> _T:
        """Send it and return what is taken of its cursor. Raises `DBAPIError`."""
        dialect = self.dialect
        try:
            cursor = connection.cursor()
            try:
                dialect.do_execute(cursor, self.text, self.bound(parameters))
                return take(self, cursor)
            finally:
                cursor.close()
        except dialect.loaded_dbapi.Error as error:
            raise _failure(dialect, error, connection, self.text) from error

    def bound(self, parameters: Mapping[str, Any]) -> Any:
        """Return the parameters as the driver is given them."""
        values = dict(self.values)
        for name, convert in self.converters:
            value = parameters[name]
            values[name] = value if convert is None else convert(value)
        return values if self.places is None else tuple([values[name] for name in self.places])

    def row_of(self, found: Sequence[Any]) -> Any:
        """Return a row with its values as the statement's types have them."""
        row = list(found)
        for place, convert in self.columns:
            row[place] = convert(row[place])
        return self.row(row)


def _row_type(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc] # noqa: PYI024 - only the statement knows the names
    make: Callable[[Sequence[Any]], Any] = row._make
    return make


def _returned(statement: _Statement) -> Sequence[Any]:
    if isinstance(statement, Select):
        return list(statement.selected_columns)
    return list(statement.exported_columns)


def _type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)
