"""One shape for every error: RFC 9457 problem details, with a stable `code`."""

from http import HTTPStatus

import structlog
from flask import Flask, Response, current_app, json
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from keyturn import notes
from keyturn.bearer.errors import BearerError, problem_document
from keyturn.errors import (
    BadRequestError,
    BodyTooLargeError,
    KeyturnError,
    MethodNotAllowedError,
    UnauthenticatedError,
    UnavailableError,
    UnknownRouteError,
    UnsupportedMediaTypeError,
)

log = structlog.get_logger()

RETRY_AFTER = 1  # seconds; a lock or a full queue is gone in less, a lost database in more

# What Flask and Werkzeug themselves refuse. Any status that is not here has its phrase as code.
_BY_STATUS: dict[int, type[KeyturnError]] = {
    error.status: error
    for error in (
        BadRequestError,
        UnknownRouteError,
        MethodNotAllowedError,
        BodyTooLargeError,
        UnsupportedMediaTypeError,
        KeyturnError,
    )
}


def problem(
    status: int,
    code: str,
    detail: str,
    errors: object = None,
    headers: dict[str, str] | None = None,
    *,
    reason: str | None = None,
) -> Response:
    """Return an `application/problem+json` answer (RFC 9457 section 3.1)."""
    notes.add(code=code)
    document = problem_document(status, code, detail)
    if errors:
        document["errors"] = errors
    if reason:
        document["reason"] = reason
    response = current_app.response_class(
        json.dumps(document), status=status, mimetype="application/problem+json"
    )
    response.headers.update(headers or {})
    return response


def init_app(app: Flask) -> None:
    """Answer every error in this shape, the last resort included."""
    app.register_error_handler(KeyturnError, _refused)
    app.register_error_handler(BearerError, _unauthorised)
    app.register_error_handler(HTTPException, _http)
    for error in (OperationalError, InternalError, InterfaceError, PoolTimeoutError):
        app.register_error_handler(error, _database_away)
    app.register_error_handler(Exception, _unexpected)


def _refused(error: KeyturnError) -> Response:
    headers = {}
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = error.challenge
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return problem(error.status, error.code, str(error), error.errors, headers, reason=error.reason)


def _unauthorised(error: BearerError) -> Response:
    return problem(error.status, error.code, error.detail, headers=error.headers())


def _http(error: HTTPException) -> Response:
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    status = error.code or 500
    if known := _BY_STATUS.get(status):
        return problem(status, known.code, known.detail, headers=headers)
    phrase = HTTPStatus(status).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    return problem(status, code, error.description or phrase)


def _database_away(error: DBAPIError | PoolTimeoutError) -> Response:
    # Of the driver's message only the first line: PostgreSQL shows values in the next.
    cause = getattr(error, "orig", None) or error
    reason = str(cause).partition("\n")[0]
    log.error("database_unavailable", cause=type(cause).__name__, reason=reason)
    return _refused(UnavailableError(retry_after=RETRY_AFTER))


def _unexpected(error: Exception) -> Response:
    log.error("unexpected_error", exc_info=error)
    return _refused(KeyturnError())
