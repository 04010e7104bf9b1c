"""Any number of users with logins and an audit trail, made by the database itself.

Logins began over the last 60 days, and each was used for the last time at any time since then.
Every tenth was ended. None is due to be purged.
"""

import hashlib
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import Connection, Engine, text

from keyturn.auth.revocations import KEPT

DAY = 86_400.0

# Functions that either database is given, so that the statements are the same. Ids are digests: as
# random as real ones, but known. Those of entries rise with their time.
POSTGRESQL = {
    "id_of(text)": "RETURNS uuid IMMUTABLE LANGUAGE sql AS 'SELECT md5($1)::uuid'",
    "ago(float8)": "RETURNS timestamptz STABLE LANGUAGE sql AS "
    "'SELECT now() - make_interval(secs => $1)'",
    "id_at(float8, text)": "RETURNS uuid STABLE LANGUAGE sql AS "
    "'SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000 - $1 * 1000)::bigint), 12, ''0'') "
    "|| ''7'' || substr(md5($2), 1, 3) || ''8'' || substr(md5($2), 4, 15))::uuid'",
}

NUMBERS = """
    WITH RECURSIVE numbers(n) AS
    (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :count),
    times AS (SELECT n, :days * (:count - n) / :count AS begun FROM numbers)
"""

USERS = f"""
    INSERT INTO users (id, name, email, password_hash, created_at)
    {NUMBERS}
    SELECT id_of('user ' || n), 'User ' || n, 'user' || n || '@example.com', :hash, ago(begun)
    FROM times
"""  # noqa: S608 - this and all others are put together from what is written here

LOGINS = f"""
    INSERT INTO refresh_tokens (id, user_id, generation, created_at, rotated_at, idle_expires_at,
        absolute_expires_at, user_agent, ip_address, replays, revoked_at, revoked_reason)
    {NUMBERS}, uses AS
    (SELECT n, begun, begun * 0.7 * (n % 1000 * 7919 % 1000) / 1000 AS used FROM times)
    SELECT id_of('login ' || n), id_of('user ' || (n % :users)), n % 100, ago(begun), ago(used),
        ago(used - :idle), ago(begun - :absolute), 'Mozilla/5.0 (X11; Linux x86_64)',
        '192.0.2.' || (n % 256), 0,
        CASE WHEN n % 10 = 0 THEN ago(used) END, CASE WHEN n % 10 = 0 THEN 'logout' END
    FROM uses
"""  # noqa: S608

EVENTS = f"""
    INSERT INTO audit_events (id, at, kind, user_id, login_id, ip_address, user_agent)
    {NUMBERS}
    SELECT id_at(begun, 'event ' || n), ago(begun), 'login', id_of('user ' || (n % :users)),
        id_of('login ' || n), '192.0.2.' || (n % 256), 'Mozilla/5.0 (X11; Linux x86_64)'
    FROM times
"""  # noqa: S608

REVOCATIONS = f"""
    INSERT INTO revocations (position, login_id)
    {NUMBERS}
    SELECT :now - CAST(n AS bigint) * :apart, id_of('login ' || n) FROM numbers
"""  # noqa: S608

BUDGETS = f"""
    INSERT INTO spent_budgets (key, holder, kind, full_at, claimed_at, cost, size)
    {NUMBERS}
    SELECT CAST(id_of('budget ' || n) AS text), CAST(id_of('user ' || n) AS text), 'account',
        :now + 1000000 * CAST(n AS bigint), :now, 1000000, 100000000
    FROM numbers
"""  # noqa: S608


@dataclass(frozen=True)
class Population:
    """How many there are. Their e-mails are `email(0)` and so on; all have one password."""

    users: int
    logins: int
    password_hash: str

    def email(self, number: int) -> str:
        return f"user{number}@example.com"

    def settle(self, engine: Engine) -> None:
        """Fill a database that has few users. The engine should be of no further use."""
        with engine.begin() as connection:
            _define_functions(connection)
            self._insert(connection)
            _drop_functions(connection)

    def _insert(self, connection: Connection) -> None:
        def insert(statement: str, count: int, **values: object) -> None:
            values |= {"count": max(1, count), "days": 60 * DAY}
            connection.execute(text(statement), values)

        now = time.time_ns() // 1000
        insert(USERS, self.users, hash=self.password_hash)
        insert(LOGINS, self.logins, users=self.users, idle=14 * DAY, absolute=90 * DAY)
        insert(EVENTS, self.logins, users=self.users)
        ended = max(1, self.logins // 1000)
        insert(REVOCATIONS, ended, now=now, apart=KEPT // ended // timedelta(microseconds=1))
        insert(BUDGETS, self.users // 5, now=now)


def _define_functions(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for function, meaning in POSTGRESQL.items():
            connection.exec_driver_sql(f"CREATE FUNCTION {function} {meaning}")
        return
    now = datetime.now(UTC)

    def ago(seconds: float) -> str:
        return (now - timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")

    def id_at(seconds: float, name: str) -> str:
        digest = _id_of(name)
        moment = int((now.timestamp() - seconds) * 1000)
        return f"{moment:012x}7{digest[:3]}8{digest[3:18]}"

    driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
    driver.execute("PRAGMA cache_size = -2000000")  # KiB: ids are random, so every page is in use
    driver.create_function("id_of", 1, _id_of, deterministic=True)
    driver.create_function("ago", 1, ago)
    driver.create_function("id_at", 2, id_at)


def _id_of(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def _drop_functions(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for function in POSTGRESQL:
            connection.exec_driver_sql(f"DROP FUNCTION {function}")
