"""Keyturn with a gate: two requests that ask for company are let in at once, or not at all."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from keyturn.app import create_app

app = create_app()
answer_to = app.wsgi_app
gate = threading.Barrier(2, timeout=10)


def together(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ.get("QUERY_STRING") == "together":
        gate.wait()
    return answer_to(environ, start_response)


app.wsgi_app = together  # type: ignore[method-assign] # Flask's own way to wrap it
