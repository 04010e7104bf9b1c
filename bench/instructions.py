"""How many instructions `/users/me` takes, and a bare Flask view: `python -m bench.instructions`.

Called as gunicorn calls them, without a network. Valgrind counts what the processor is told to do,
which is the same on a machine that has other things to do; the kernel's share is not in it, nor
what waiting costs. Debian: apt-get install valgrind.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from tests.support.api import Api
from tests.support.server import ROOT
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bench.floors import BARE
from bench.service import service_in, show

FEW, MANY = 100, 400  # requests; the difference leaves out what is done once
PATH = "/users/me"


def main() -> None:
    """Count, each view in processes of its own."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is missing: apt-get install valgrind")
    counts = {name: (_count(valgrind, name, MANY) - _count(valgrind, name, FEW)) for name in VIEWS}
    show(
        [
            {"view": name, "instructions of a request": f"{count / (MANY - FEW):,.0f}"}
            for name, count in counts.items()
        ]
    )


def _count(valgrind: str, view: str, requests: int) -> int:
    counting = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command = [*counting, sys.executable, "-m", "bench.instructions", view, str(requests)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # dicts are as they were the last time
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    (count,) = re.findall(r"I\s+refs:\s+([\d,]+)", done.stderr)
    return int(count.replace(",", ""))


def _ask(app: Flask, token: str, requests: int) -> None:
    headers = Headers({"Authorization": f"Bearer {token}"})
    environ = EnvironBuilder(path=PATH, headers=headers).get_environ()
    for _ in range(requests):
        _, status, _ = run_wsgi_app(app.wsgi_app, dict(environ))
        if not status.startswith("200"):
            raise RuntimeError(status)


def _bare(requests: int) -> None:
    _ask(BARE, "none", requests)


def _users_me(requests: int) -> None:
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as folder:
        app = service_in(Path(folder))
        _ask(app, Api(app.test_client()).tokens()["accessToken"], requests)


VIEWS: dict[str, Callable[[int], None]] = {"bare": _bare, PATH: _users_me}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        VIEWS[sys.argv[1]](int(sys.argv[2]))
    else:
        main()
