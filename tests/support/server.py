"""A real gunicorn in processes of its own, on a port of the loopback interface."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE = 60  # seconds; a bound, not an expectation
_EPHEMERAL_PORTS = 32_768  # where Linux's begin (ip_local_port_range in ip(7))
_own_ports = range(10_000 + os.getpid() % 64, _EPHEMERAL_PORTS, 64)
_ports = cycle(random.SystemRandom().sample(_own_ports, len(_own_ports)))


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
        self,
        settings: dict[str, str],
        app: str = "wsgi:app",
        folder: Path = ROOT,
        programs: Path = Path(sys.executable).parent,
    ) -> None:
        self._gunicorn = str(programs / "gunicorn")
        self._app = app
        self._folder = folder
        self.port = int(settings.get("PORT") or free_port())
        self._process: subprocess.Popen[bytes] | None = None
        self._master = 0
        self._own = tempfile.TemporaryDirectory(prefix="keyturn-server-")
        self.tmp = Path(self._own.name, "tmp")
        self.tmp.mkdir()
        self._pidfile = Path(self._own.name, "pid")
        self._log = Path(self._own.name, "log")
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
            **settings,
            "PORT": str(self.port),
            "TMPDIR": str(self.tmp),
            "PYTHON_DOTENV_DISABLED": "1",  # the settings of a developer are none of the tests
        }

    def start(self, healthy: str = "/readyz") -> None:
        """Start, and wait until this route is well."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._gunicorn, "--pid", str(self._pidfile), self._app],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._master = self._process.pid
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
        self._own.cleanup()

    def stop(self) -> None:
        """Stop gracefully; kill if that takes too long."""
        if self._process is None or self.is_gone():
            return
        self.terminate()
        try:
            self.wait_until(self.is_gone)
        except AssertionError:
            self.kill()

    def terminate(self) -> None:
        """Tell it to stop, and go on."""
        os.kill(self._master, signal.SIGTERM)

    def kill(self) -> None:
        """Kill all of its processes at once."""
        for pid in (self._master, *self.worker_pids()):
            os.kill(pid, signal.SIGKILL)
        self.wait_until(self.is_gone)

    def is_gone(self) -> bool:
        assert self._process is not None
        gone = _is_gone(self._master)
        self._process.poll()  # our own child stays a zombie until it is asked
        return gone

    def replace(self) -> bool:
        """Let a new one take over, as an operator does; return whether it did."""
        assert self._process is not None
        script = subprocess.Popen(["sh", "docs/deploy/restart.sh", str(self._pidfile)], cwd=ROOT)
        self.wait_until(lambda: script.poll() is not None)
        self._process.poll()  # our own child stays a zombie until it is asked
        self._master = int(self._pidfile.read_text())
        return script.returncode == 0

    def worker_pids(self) -> list[int]:
        """The workers' process ids."""
        children = Path(f"/proc/{self._master}/task/{self._master}/children").read_text()
        return [int(pid) for pid in children.split()]

    def cpu_seconds(self) -> float:
        """The CPU time its processes have used so far, loading the program included."""
        return cpu_seconds((self._master, *self.worker_pids()))

    def kill_worker(self, pid: int) -> None:
        assert pid in self.worker_pids()
        os.kill(pid, signal.SIGKILL)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"not in time:\n{self.log()}"
            time.sleep(0.01)

    def log(self) -> str:
        return self._log.read_text()

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All samples, by name and labels, as Prometheus reads them."""
        url = f"http://127.0.0.1:{self._environment['METRICS_PORT']}/metrics"
        with urlopen(url, timeout=START_DEADLINE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in families
                for sample in family.samples
            }

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


def insist(server: Server, body: dict[str, str]) -> Answer:
    """Send a login until the service is not too busy for it."""
    while (answer := server.request("POST", "/auth/login", body)).status == 503:
        assert answer.headers["Retry-After"]
        time.sleep(0.02)
    return answer


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def cpu_seconds(pids: Iterable[int]) -> float:
    """The CPU time that processes have had."""
    return sum(map(_ticks, pids)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(stat[11]) + int(stat[12])  # utime and stime, of proc(5)


def free_port() -> int:
    """A port of the loopback interface that nobody has, nor gets before a server listens there.

    The kernel gives none of these to who asks for any, as clients and other tests do, and the
    processes of a test run share them out by their ids. Another run goes through them in another
    order.
    """
    return next(filter(_is_free, _ports))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
