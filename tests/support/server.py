"""A real gunicorn in processes of its own, on a port of the loopback interface."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE = 30  # seconds; a bound, not an expectation


@dataclass(frozen=True)
class Answer:
    """What came back over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: Sequence[str] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Starts gunicorn as the Makefile does, with the given settings in its environment."""

    def __init__(
        self, settings: dict[str, str], app: str = "wsgi:app", folder: Path = ROOT
    ) -> None:
        self._app = app
        self._folder = folder
        self.port = int(settings.get("PORT") or free_port())
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
            **settings,
            "PORT": str(self.port),
            "PYTHON_DOTENV_DISABLED": "1",  # the settings of a developer are none of the tests
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server

    def start(self, healthy: str = "/readyz") -> None:
        """Start, and wait until this route is well."""
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        self._process = subprocess.Popen(
            [gunicorn, self._app],
            cwd=self._folder,
            env=self._environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + START_DEADLINE
        while not self._is_well(healthy):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"gunicorn did not start:\n{self.log()}")
            time.sleep(0.05)

    def _is_well(self, healthy: str) -> bool:
        try:
            return self.request("GET", healthy).status == 200
        except OSError:
            return False

    def close(self) -> None:
        """Stop, and forget the log."""
        self.stop()
        self._log.close()

    def stop(self) -> None:
        """Stop gracefully; kill if that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=START_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def worker_pids(self) -> list[int]:
        """The workers' process ids."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def kill_worker(self, pid: int) -> None:
        assert pid in self.worker_pids()
        os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own; a dict is sent as JSON."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_DEADLINE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            cookies = response.headers.get_all("Set-Cookie", [])
            return Answer(response.status, dict(response.getheaders()), response.read(), cookies)
        finally:
            connection.close()

    def raw(self, data: bytes, *, finish: bool = False) -> bytes:
        """Send bytes as they are and return all that comes back until the server closes.

        `finish` tells the server that nothing more will come.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=START_DEADLINE) as peer:
            peer.sendall(data)
            if finish:
                peer.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := peer.recv(65536):
                received += chunk
            return received

    def login(self, email: str = "bob@gmail.com", password: str = "bobPass") -> dict[str, Any]:
        answer = self.request("POST", "/auth/login", {"email": email, "password": password})
        assert answer.status == 200, answer.body
        return dict(answer.json)


def free_port() -> int:
    """A port of the loopback interface that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
