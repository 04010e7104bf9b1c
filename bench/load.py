"""Load from wrk: 16 keep-alive connections, and what they saw."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
LUA = Path(__file__).with_name("lua")

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)", re.MULTILINE)
_BAD = re.compile(r"(Non-2xx or 3xx responses: \d+|Socket errors: .*)")
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """Requests a second, latencies in milliseconds, and what went wrong, if anything."""

    rate: float
    median: float
    p99: float
    faults: str = ""


def get(url: str, token: str, *, seconds: int, connections: int = CONNECTIONS) -> Load:
    """Ask for a page with a bearer token, again and again."""
    header = ["-H", f"Authorization: Bearer {token}"]
    return _read(_wrk(url, seconds, connections, threads=2, more=header))


def refresh(url: str, tokens: Sequence[str], *, seconds: int) -> Load:
    """Refresh: each connection carries a chain of its own, from its token on."""
    with _arguments(tokens) as file:
        script = ["-s", str(LUA / "refresh.lua")]
        connections = len(tokens)
        return _read(_wrk(url, seconds, connections, threads=connections, more=script, tail=[file]))


def login(
    url: str, users: Sequence[dict[str, str]], *, seconds: int, connections: int = CONNECTIONS
) -> Load:
    """Log in with the users' passwords in turns: an account has at most 100 attempts a second."""
    with _arguments([json.dumps(user) for user in users]) as file:
        script = ["-s", str(LUA / "login.lua")]
        return _read(_wrk(url, seconds, connections, threads=2, more=script, tail=[file]))


@contextmanager
def _arguments(lines: Sequence[str]) -> Iterator[str]:
    # Tokens are secrets, and a command line is for all to see.
    with tempfile.NamedTemporaryFile("w", prefix="keyturn-bench-") as file:
        file.write("\n".join(lines))
        file.flush()
        yield file.name


def _wrk(
    url: str,
    seconds: int,
    connections: int,
    *,
    threads: int,
    more: Sequence[str],
    tail: Sequence[str] = (),
) -> str:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    size = [f"-t{threads}", f"-c{connections}", f"-d{seconds}", "--timeout", "20"]
    command = [wrk, *size, "--latency", *more, url, *(["--", *tail] if tail else [])]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _read(report: str) -> Load:
    rate = _RATE.search(report)
    latency = {
        percentile: float(value) * _MILLISECONDS[unit]
        for percentile, value, unit in _LATENCY.findall(report)
    }
    if rate is None:
        raise RuntimeError(f"wrk said:\n{report}")
    faults = "; ".join(_BAD.findall(report))
    return Load(float(rate[1]), latency["50"], latency["99"], faults)
