"""The servers that are measured, each a real process on the loopback interface."""

import json
import os
import secrets
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.api import BOB
from tests.support.server import ROOT, free_port

from bench.service import JSON, PROGRAMS, service
from keyturn.users.seeds import DEMO_USERS

TUTORIAL = ROOT / "bench" / "tutorial"
START_DEADLINE = 30  # seconds

# Whoever measures logs in more often than anybody who guesses, and from one address.
UNTHROTTLED = {
    "THROTTLE_ACCOUNT": "100/1",
    "THROTTLE_ADDRESS": "1000000/1",
    "THROTTLE_ALL": "1000000/1",
}

USERS = [{name: user[name] for name in ("email", "password")} for user in DEMO_USERS]


@dataclass(frozen=True)
class Served:
    """A server that answers at `url`."""

    url: str

    def log_in(self) -> dict[str, Any]:
        """Log Bob in and return his tokens."""
        request = urllib.request.Request(f"{self.url}/auth/login", json.dumps(BOB).encode(), JSON)
        with urllib.request.urlopen(request, timeout=START_DEADLINE) as answer:
            return dict(json.load(answer))


@contextmanager
def keyturn(**settings: str) -> Iterator[Served]:
    """Serve Keyturn as `make run` does, on an SQLite file of its own with the demo users."""
    with service(**UNTHROTTLED, **settings) as server:
        yield Served(f"http://127.0.0.1:{server.port}")


@contextmanager
def bare() -> Iterator[Served]:
    """Serve the bare Flask view under the settings of gunicorn.conf.py."""
    gunicorn = [str(PROGRAMS / "gunicorn")]
    secret = {name: secrets.token_urlsafe(48) for name in ("REFRESH_SECRET", "ACCESS_SECRET")}
    command = [*gunicorn, "--config", "bench/bare_gunicorn.py", "bench.floors:BARE"]
    with _process(command, ROOT, {**secret, "KEYTURN_ENV": "development"}) as served:
        yield served


@contextmanager
def tutorial() -> Iterator[Served]:
    """Serve the NestJS tutorial's server: in memory, one process."""
    if not (TUTORIAL / "dist" / "server.js").exists():
        for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "run", "build"]):
            subprocess.run(command, cwd=TUTORIAL, check=True, stdout=subprocess.DEVNULL)
    keys = {name: secrets.token_urlsafe(48) for name in ("ACCESS_SECRET", "REFRESH_SECRET")}
    with _process(["node", "dist/server.js"], TUTORIAL, keys) as served:
        yield served


@contextmanager
def _process(command: list[str], folder: Path, settings: Mapping[str, str]) -> Iterator[Served]:
    port = free_port()
    environment = {**os.environ, **settings, "PORT": str(port), "PYTHON_DOTENV_DISABLED": "1"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if not _answers(port, process):
                log.seek(0)
                raise RuntimeError(f"{command} does not answer:\n{log.read().decode()}")
            yield Served(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait()


def _answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + START_DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
