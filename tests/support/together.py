"""Keyturn with a gate: two requests that ask for company are let in at once, or not at all."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from keyturn.app import create_app

keyturn = create_app()
gate = threading.Barrier(2, timeout=10)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ.get("QUERY_STRING") == "together":
        gate.wait()
    return keyturn(environ, start_response)
