"""What docs/scaling.md reckons with, on SQLite and on PostgreSQL: `python -m bench.scaling`.

The time that a processor spends on a request, in the worker and in PostgreSQL's processes, which
depends less than a rate does on what else the machine is busy with; the rate of one worker, which
does; what a login takes on the disk; and the memory of a worker. Each is the best of some rounds.
PostgreSQL is one of its own (with Debian's package), which flushes nothing to the disk; SQLite
flushes every commit.
"""

import http.client
import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import fmean
from typing import Any

import flask_migrate
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool
from tests.support.api import BOB
from tests.support.databases import PostgresDatabases
from tests.support.population import Population
from tests.support.postgres import Postgres, programs
from tests.support.server import ROOT, Server, cpu_seconds

from bench.service import JSON, Row, service, show
from keyturn.commands import create_app
from keyturn.database import db
from keyturn.passwords import Passwords

HASHES = 30
ROUNDS = 25
CONNECTIONS = 4
REQUESTS = 40  # of each connection and round
LOGINS = 100_000

LOGIN = json.dumps(BOB)
TABLES = ("refresh_tokens", "audit_events", "users")
SIZE = {
    "sqlite": text(
        "SELECT sum(pgsize) FROM dbstat WHERE name IN"
        " (SELECT name FROM sqlite_master WHERE tbl_name = :table)"
    ),
    "postgresql": text("SELECT pg_total_relation_size(CAST(:table AS regclass))"),
}
REFRESH = text(
    "UPDATE refresh_tokens SET generation = generation + 100, idle_expires_at = absolute_expires_at"
    " WHERE generation % 10 = :part"
)
NO_SECRETS = {
    name: secrets.token_urlsafe(48) for name in ("REFRESH_SECRET", "KEY_ENCRYPTION_SECRET")
}


class Device:
    """One login on one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.log_in()

    def log_in(self) -> None:
        """Begin another login."""
        self._keep(self._send("POST", "/auth/login", LOGIN))

    def refresh(self) -> None:
        """Spend the refresh token."""
        self._keep(self._send("POST", "/auth/refresh", json.dumps({"refreshToken": self._refresh})))

    def who_am_i(self) -> None:
        """Use the access token."""
        self._send("GET", "/users/me", None, {"Authorization": f"Bearer {self._access}"})

    def _keep(self, tokens: dict[str, Any]) -> None:
        self._access, self._refresh = tokens["accessToken"], tokens["refreshToken"]

    def _send(
        self, method: str, path: str, body: str | None, headers: dict[str, str] = JSON
    ) -> dict[str, Any]:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{path}: {content.decode()}")
        return dict(json.loads(content))


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processors for a request, and how many a second one worker answered."""

    worker: float
    database: float
    rate: float


def cost(server: Server, engine: Engine, do: Callable[[Device], None], requests: int) -> Cost:
    """Do something over and over, on several connections at once; the best of all rounds."""
    devices = [Device(server.port) for _ in range(CONNECTIONS)]

    def run(device: Device) -> None:
        for _ in range(requests):
            do(device)

    costs = []
    for _ in range(ROUNDS):
        threads = [threading.Thread(target=run, args=(device,)) for device in devices]
        workers, others = server.worker_pids(), processes_of(engine)
        before = cpu_seconds(workers), cpu_seconds(others), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = cpu_seconds(workers), cpu_seconds(others), time.perf_counter()
        spent = [late - early for early, late in zip(before, after, strict=True)]
        costs.append([each / (requests * CONNECTIONS) for each in spent])
    worker, databases, took = zip(*costs, strict=True)
    # The kernel counts in ticks of 10 ms, of which a round of the database may have none.
    return Cost(min(worker) * 1000, fmean(databases) * 1000, 1 / min(took))


def processes_of(engine: Engine) -> list[int]:
    """Return the processes of a PostgreSQL; none of SQLite, which works in the worker."""
    if engine.dialect.name == "sqlite":
        return []
    with engine.connect() as connection:
        asked = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        return list(connection.scalars(text(asked)))


def requests(name: str, url: str | None) -> tuple[list[Row], Row]:
    """Measure what requests cost on a database, and the memory of the one worker in MiB."""
    settings = {"WEB_CONCURRENCY": "1"} | ({} if url is None else {"DATABASE_URL": url})
    with service(**settings) as server:
        engine = create_engine(url or "sqlite://", poolclass=NullPool)
        shared, idle = memory(server)
        rows = []
        for route, do, often in (
            ("GET /users/me", Device.who_am_i, REQUESTS),
            ("POST /auth/refresh", Device.refresh, REQUESTS),
            ("POST /auth/login", Device.log_in, REQUESTS // 20),
        ):
            found = cost(server, engine, do, often)
            rows.append(
                {
                    "database": name,
                    "route": route,
                    "worker ms": f"{found.worker:.2f}",
                    "database ms": f"{found.database:.2f}" if url else "in the worker",
                    "a second of one worker": f"{found.rate:.0f}",
                }
            )
        return rows, {
            "database": name,
            "shared by the workers": shared,
            "a worker's own": idle,
            "later": memory(server)[1],
        }


def memory(server: Server) -> tuple[int, int]:
    """Return MiB that a worker shares with the process that forked it, and that are its own."""
    (pid,) = server.worker_pids()
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    mib = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines}
    own = mib["Private_Dirty"] + mib["Private_Clean"]
    return mib["Rss"] - own, own


def disk(name: str, url: str) -> list[Row]:
    """Measure what a row takes, with its part of the indexes: new, and when each was refreshed."""
    app = create_app({**NO_SECRETS, "DATABASE_URL": url})
    with app.app_context():
        flask_migrate.upgrade()
        engine = db.engine
        Population(LOGINS, LOGINS, Passwords().hash("a password")).settle(engine)
        vacuum(engine)
        fresh = sizes(engine)
        refresh_all(engine)
        refreshed = sizes(engine)
        engine.dispose()
    return [
        {"database": name, "table": table, "bytes": fresh[table], "later": refreshed[table]}
        for table in TABLES
    ]


def refresh_all(engine: Engine) -> None:
    """Do to each login what a refresh does; PostgreSQL sweeps as often as it does by itself."""
    for part in range(10):
        with engine.begin() as connection:
            connection.execute(REFRESH, {"part": part})
        if part % 2:
            vacuum(engine)  # autovacuum_vacuum_scale_factor: at a fifth


def vacuum(engine: Engine) -> None:
    """Let PostgreSQL take back what is dead; SQLite does so by itself."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM"))


def sizes(engine: Engine) -> dict[str, int]:
    """Return the bytes of a table's row, with those of its indexes."""
    with engine.connect() as connection:
        statement = SIZE[engine.dialect.name]
        return {
            table: round(connection.scalars(statement, {"table": table}).one() / LOGINS)
            for table in TABLES
        }


def main() -> None:
    """Print what was measured."""
    show([hashes()])
    show([flushes()])
    bin_folder = programs()
    if bin_folder is None:
        sys.exit("PostgreSQL is missing: apt-get install postgresql")
    cluster = Postgres(bin_folder, synchronous_commit="on")
    cluster.start()
    databases = PostgresDatabases(cluster.url(), "bench")
    try:
        with tempfile.TemporaryDirectory(dir=ROOT, prefix="keyturn-bench-") as folder:
            measured = [
                (*requests("SQLite", None), disk("SQLite", f"sqlite:///{folder}/keyturn.db")),
                (
                    *requests("PostgreSQL", databases.create()),
                    disk("PostgreSQL", databases.create()),
                ),
            ]
    finally:
        cluster.remove()
    show([row for rows, _, _ in measured for row in rows])
    show([row for _, row, _ in measured])
    show([row for _, _, rows in measured for row in rows])


def hashes() -> Row:
    """Measure a hash of a password: what a login costs above all."""
    passwords = Passwords()
    times = []
    for _ in range(HASHES):
        start = time.process_time()
        passwords.hash("correct horse battery staple")
        times.append(time.process_time() - start)
    return {"argon2id": "19 MiB, t=2, p=1", "ms": f"{min(times) * 1000:.1f}"}


def flushes() -> Row:
    """Measure how long the disk takes to have something for sure, as at each commit."""
    times = []
    with tempfile.TemporaryFile(dir=ROOT) as file:
        for _ in range(HASHES):
            file.write(b"x" * 4096)
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return {"flush": "4 KiB, fdatasync", "ms": f"{min(times) * 1000:.2f}"}


if __name__ == "__main__":
    main()
