"""Lets pages of other origins read answers (CORS, in the Fetch standard): of those listed.

Small enough to be our own: flask-cors 6 guesses which origins are patterns, answers with the
request's own spelling, and leaves `Vary` out of the answers to origins that are not listed, which a
shared cache then hands to those that are.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from flask import Flask, Response, request

from keyturn.http.contract import contract_of

PREFLIGHT_MAX_AGE = 7200  # seconds; Chromium believes no longer ones
EXPOSED = "Retry-After, WWW-Authenticate"


def init_app(app: Flask, listed: AbstractSet[str]) -> None:
    """Share the answers of all registered routes with the listed origins; with none listed, not.

    The headers a page may send are those the routes read.
    """
    if not listed:
        return
    sendable = ", ".join(sorted({"Authorization", "Content-Type", *_headers(app)}))

    @app.after_request
    def share(response: Response) -> Response:
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin in listed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
            if request.method == "OPTIONS" and "Allow" in response.headers:
                response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
                response.headers["Access-Control-Allow-Headers"] = sendable
                response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE)
        return response


def _headers(app: Flask) -> Iterable[str]:
    for view in app.view_functions.values():
        yield from (header.name for header in contract_of(view).headers)
