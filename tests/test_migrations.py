"""Migrations leave a large table in use: on PostgreSQL nobody who writes waits for one."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import flask_migrate
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from flask import Flask
from sqlalchemy import Connection, TextClause, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from keyturn.database import db
from tests.conftest import dispose
from tests.support.databases import Databases
from tests.support.history import wait_until

# --- what each of them says to PostgreSQL ---------------------------------------------------------

REVISIONS = list(ScriptDirectory("migrations").walk_revisions())[::-1]

# What takes no lock that writers meet, or takes it only for a moment: the rows are not read.
CONSTANT = r"DEFAULT ('[^']*'|\d+|true|false)"
HARMLESS = [
    r"CREATE (UNIQUE )?INDEX CONCURRENTLY \w+ ON .*",
    r"DROP INDEX CONCURRENTLY (IF EXISTS )?\w+",
    r"ALTER TABLE \w+ ADD COLUMN \w+ (?!.*(DEFAULT|NOT NULL)).*",
    rf"ALTER TABLE \w+ ADD COLUMN \w+ (?!DEFAULT).* {CONSTANT}( NOT NULL)?",
    r"ALTER TABLE \w+ ADD CONSTRAINT .* NOT VALID",
    r"ALTER TABLE \w+ VALIDATE CONSTRAINT \w+",
    "BEGIN|COMMIT",
]


def said_to_postgresql(revision: Script) -> list[str]:
    said = StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": said}
    )
    with Operations.context(context):
        revision.module.upgrade()
    return [" ".join(one.split()) for one in said.getvalue().split(";") if one.strip()]


def harmful(statements: list[str]) -> list[str]:
    """Return those that may hold writers up, of the statements of one migration.

    What it does to a table of its own stands in nobody's way.
    """
    own = re.findall(r"CREATE TABLE (\w+) ", "\n".join(statements))
    on_own = rf"(CREATE (UNIQUE )?INDEX \w+ ON|CREATE TABLE|ALTER TABLE) ({'|'.join(own) or '-'})\b"
    return [
        one
        for one in statements
        if not re.match(on_own, one) and not any(re.fullmatch(safe, one) for safe in HARMLESS)
    ]


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda revision: str(revision.revision))
def test_a_migration_holds_no_writer_up(revision: Script) -> None:
    statements = said_to_postgresql(revision)
    assert statements
    assert harmful(statements) == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX ix ON users (name)",
        "CREATE UNIQUE INDEX ix ON users (name)",
        "DROP INDEX ix",
        "ALTER TABLE users ALTER COLUMN name TYPE TEXT",
        "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE users ADD COLUMN at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp()",
        "ALTER TABLE users ADD COLUMN kind INTEGER NOT NULL",
        "ALTER TABLE users ADD COLUMN kind INTEGER DEFAULT random() NOT NULL",
        "ALTER TABLE users ADD CONSTRAINT ck CHECK (name <> '')",
        "ALTER TABLE users RENAME COLUMN name TO called",
        "ALTER TABLE users DROP COLUMN name",
        "UPDATE users SET name = ''",
    ],
)
def test_what_would_hold_writers_up_is_seen(statement: str) -> None:
    """Or what the release before does not survive: it still runs meanwhile."""
    assert harmful(["CREATE TABLE audit_events ( id UUID )", statement]) == [statement]


# --- while others write ---------------------------------------------------------------------------

FIRST, BEFORE_THE_INDEX, WITH_THE_INDEX = "0001", "0003", "0004"

ADD_USER = text(
    "INSERT INTO users (id, name, email, password_hash, created_at)"
    " VALUES (gen_random_uuid(), 'A', 'a@example.com', '!', now())"
)
ADD_LOGIN = text(
    "INSERT INTO refresh_tokens (id, user_id, generation, created_at, rotated_at, idle_expires_at,"
    " absolute_expires_at, user_agent, ip_address, replays)"
    " SELECT gen_random_uuid(), id, 0, now(), now(), now(), now(), '', '', 0 FROM users"
)
REFRESH = text("UPDATE refresh_tokens SET generation = generation + 1")
RENAME = text("UPDATE users SET name = name || '.' WHERE length(name) < 9")

# A migration that waits longer than a request's statement may take, for whoever holds a lock.
IT_WAITS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    " AND datname = current_database() AND now() - query_start > interval '1.1 s'"
)
BREAK_IT_OFF = text(
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    " AND datname = current_database()"
)
BROKEN = text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")


@pytest.mark.usefixtures("_only_postgresql")
class TestInUse:
    """A database of the first revision with a user and a login, and connections of others."""

    @pytest.fixture
    def settings(self, settings: dict[str, str], databases: Databases) -> dict[str, str]:
        return {**settings, "DATABASE_URL": databases.create(), "POSTGRES_STATEMENT_TIMEOUT": "1"}

    @pytest.fixture
    def others(self, app: Flask) -> Iterator[tuple[Connection, Connection]]:
        with app.app_context():
            flask_migrate.upgrade(revision=FIRST)
            url = db.engine.url
        timeout = {"options": "-c lock_timeout=250ms"}
        engine = create_engine(url, poolclass=NullPool, connect_args=timeout)
        with engine.connect() as one, engine.connect() as other:
            one.execute(ADD_USER)
            one.execute(ADD_LOGIN)
            one.commit()
            yield one, other

    def test_an_index_is_made_while_others_write(
        self, app: Flask, others: tuple[Connection, Connection]
    ) -> None:
        upgrade(app, BEFORE_THE_INDEX)
        slow, quick = others
        slow.execute(ADD_LOGIN)  # a transaction that lasts
        with ThreadPoolExecutor(1) as background:
            upgrading = background.submit(upgrade, app, WITH_THE_INDEX)
            wait_until(lambda: is_so(quick, IT_WAITS))
            for _ in range(3):
                quick.execute(ADD_LOGIN)
                quick.commit()
            slow.commit()
            upgrading.result()
        assert not is_so(quick, BROKEN)

    def test_writers_go_on_from_the_first_revision_to_the_last(
        self, app: Flask, others: tuple[Connection, Connection]
    ) -> None:
        writer, reader = others
        with ThreadPoolExecutor(1) as background:
            upgrading = background.submit(upgrade, app, "head")
            written = 0
            while not upgrading.done() or not written:
                for statement in (REFRESH, RENAME):
                    writer.execute(statement)
                    writer.commit()
                written += 1
            upgrading.result()
        assert reader.scalar(text("SELECT generation FROM refresh_tokens")) == written

    def test_a_migration_that_was_broken_off_is_run_again(
        self, app: Flask, others: tuple[Connection, Connection]
    ) -> None:
        upgrade(app, BEFORE_THE_INDEX)
        slow, watcher = others
        slow.execute(ADD_LOGIN)
        with ThreadPoolExecutor(1) as background:
            upgrading = background.submit(upgrade, app, WITH_THE_INDEX)
            wait_until(lambda: is_so(watcher, IT_WAITS))
            assert is_so(watcher, BREAK_IT_OFF)
            with pytest.raises(OperationalError):
                upgrading.result()
        slow.commit()
        assert is_so(watcher, BROKEN)
        upgrade(app, "head")
        assert not is_so(watcher, BROKEN)


def upgrade(app: Flask, revision: str) -> None:
    with app.app_context():
        flask_migrate.upgrade(revision=revision)
    dispose(app)


def is_so(connection: Connection, question: TextClause) -> bool:
    found = bool(connection.scalar(question))
    connection.commit()
    return found
