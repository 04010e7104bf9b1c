"""Sends requests made up from the OpenAPI document. `make fuzz` runs it, with every change."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from flask import Flask

from tests.support.server import ROOT, Server
from tests.support.services import make_service_token

LONGEST = 900  # seconds; a bound, not an expectation
# Hundreds of wrong passwords are sent on purpose, and logins needed between them.
UNTHROTTLED = {
    "THROTTLE_ACCOUNT": "100/1",
    "THROTTLE_ADDRESS": "1000000/1",
    "THROTTLE_ALL": "1000000/1",
}
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def test_every_answer_is_as_promised(app: Flask, serve: Callable[..., Server]) -> None:
    document = f"http://127.0.0.1:{serve(**UNTHROTTLED).port}/openapi.json"
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "--config-file", str(CONFIGURATION), "run", document]
    environment = {**os.environ, "SERVICE_TOKEN": make_service_token(app)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=LONGEST)
    assert done.returncode == 0
