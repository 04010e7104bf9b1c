"""What is told of every request: its id, one line in the log, one observation in the metrics.

The line says what was asked and answered, and what was noted meanwhile: who asked, with which
login, which event it was and how it ended.
"""

import random
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from time import perf_counter
from typing import Any

import structlog
from flask import Flask, Response, request

from keyturn import notes
from keyturn.auth.rotation import REUSED

HEADER = "X-Request-ID"

Observer = Callable[[str | None, str, int, float, notes.Notes], None]

_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_STARTED = "keyturn.started"
_WARNED_OF = {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
_PROBES = {"/livez", "/readyz"}  # asked every few seconds; of interest only where they fail


def init_app(app: Flask, *, believe_ids: bool, observe: Observer | None) -> None:
    """Report every request. `believe_ids`: a trusted proxy in front says which id it has."""
    log = structlog.get_logger().bind()
    serve = app.wsgi_app

    def begin(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[_STARTED] = perf_counter()
        token = notes.begin({"request_id": _request_id(environ, believe_ids=believe_ids)})
        try:
            return serve(environ, start_response)
        finally:
            notes.end(token)

    def report(response: Response) -> Response:
        asked = request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - werkzeug's documented name
        known = notes.current()
        status = response.status_code
        route = asked.url_rule.rule if asked.url_rule else None
        seconds = perf_counter() - asked.environ[_STARTED]
        response.headers.add(HEADER, known["request_id"])
        if observe is not None:
            observe(route, asked.method, status, seconds, known)
        tell = getattr(log, _level(status, route, known))
        tell(
            known.get("event", "request"),
            method=asked.method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            address=asked.remote_addr,
        )
        return response

    app.wsgi_app = begin  # type: ignore[method-assign]
    app.after_request(report)


def _request_id(environ: dict[str, Any], *, believe_ids: bool) -> str:
    given = environ.get("HTTP_X_REQUEST_ID", "") if believe_ids else ""
    # An id and no secret: nothing is asked of the system for it.
    return given if _PLAIN.fullmatch(given) else f"{random.getrandbits(96):024x}"


def _level(status: int, route: str | None, known: notes.Notes) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "error"
    if status in _WARNED_OF or known.get("result") == REUSED:
        return "warning"
    return "debug" if route in _PROBES else "info"
