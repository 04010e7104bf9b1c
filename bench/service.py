"""What the measurements share: a service of their own, and a little arithmetic."""

import http.client
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask_migrate
from flask import Flask
from tests.support.server import ROOT, Server

from keyturn.commands import create_app

Row = dict[str, Any]

# The environment of `make run`: that of the tests has more in it, which takes time and memory. Only
# that of the tests speaks to PostgreSQL.
ENVIRONMENT = ROOT / ".venv-run"
PROGRAMS = ENVIRONMENT / "bin"

JSON = {"Content-Type": "application/json"}


@contextmanager
def service(*commands: str, **settings: str) -> Iterator[Server]:
    """Start a service on a database of its own, with the demo users; stop it in the end.

    `commands` of flask are run before.
    """
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-", dir=ROOT) as folder:
        environment = {
            "KEYTURN_ENV": "development",
            "KEY_ENCRYPTION_SECRET": secrets.token_urlsafe(48),
            "REFRESH_SECRET": secrets.token_urlsafe(48),
            "DATABASE_URL": f"sqlite:///{folder}/keyturn.db",
            "PYTHON_DOTENV_DISABLED": "1",
            **settings,
        }
        is_sqlite = environment["DATABASE_URL"].startswith("sqlite:")
        programs = PROGRAMS if is_sqlite else Path(sys.executable).parent
        for command in ("db upgrade", "users seed", *commands):
            _flask(programs, environment, command)
        server = Server(environment, programs=programs)
        try:
            server.start()
            yield server
        finally:
            server.close()


def _flask(programs: Path, environment: dict[str, str], command: str) -> None:
    subprocess.run(
        [str(programs / "flask"), *command.split()],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )


def service_in(folder: Path) -> Flask:
    """Return a service in this process, on a database in this folder, with the demo users."""
    settings = {name: secrets.token_urlsafe(48) for name in ("REFRESH_SECRET", "ACCESS_SECRET")}
    url = f"sqlite:///{folder}/keyturn.db"
    app = create_app({**settings, "DATABASE_URL": url, "KEYTURN_ENV": "development"})
    with app.app_context():
        flask_migrate.upgrade()
    app.test_cli_runner().invoke(args=["users", "seed"], catch_exceptions=False)
    return app


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> int:
        """Send a request and return the status of its answer, which is read to the end."""
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def resident(server: Server, field: str = "VmRSS") -> int:
    """Return the resident memory of the largest worker in MiB; VmHWM: at its peak so far."""
    return round(max(_kib(pid, field) for pid in server.worker_pids()) / 1024)


def _kib(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of the values do not pass."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def show(rows: Sequence[Row]) -> None:
    """Print rows of the same keys as a table."""
    header = list(rows[0])
    cells = [header, *([str(row[name]) for name in header] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
