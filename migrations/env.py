"""Runs the migrations on the app's own engine, or on one that a caller hands over."""

from typing import Any, Literal

from alembic import context
from flask import current_app

from keyturn.database import UtcDateTime

db = current_app.extensions["migrate"].db


def render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write our own column type into a new migration as what it is in the database."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Migrate. On SQLite foreign keys are off meanwhile; on PostgreSQL a statement takes its time.

    There a table is altered by copying it, and dropping the old one would delete, by cascade, the
    rows that refer to it. The pragma does nothing inside a transaction, so it comes before. On
    PostgreSQL an index of a large table takes longer than a request may; that no lock is waited for
    longer than POSTGRES_LOCK_TIMEOUT stays, because whoever comes later waits behind.
    """
    engine = context.config.attributes.get("engine") or db.engine
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            driver = connection.connection.dbapi_connection
            driver.execute("PRAGMA foreign_keys = OFF")
        else:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.commit()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=True,
            render_item=render,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.invalidate()  # the pool must not hand this connection out again


run()
