"""Reads a request's body: strict JSON, bounded, checked against a schema."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl

from flask import Request, request
from gunicorn.http.errors import ParseException
from marshmallow import Schema
from werkzeug.exceptions import ClientDisconnected

from keyturn.bearer import ijson
from keyturn.errors import (
    BodyTimeoutError,
    BodyTooLargeError,
    IncompleteBodyError,
    InvalidFormError,
    InvalidJSONError,
    UnsupportedMediaTypeError,
    ValidationFailedError,
)
from keyturn.http.contract import FORM, JSON, Refusal, promise
from keyturn.http.schema import load

MAX_BODY = 64 * 1024

MAX_FORM_FIELDS = 32

_BODY_REFUSALS: tuple[Refusal, ...] = (
    IncompleteBodyError,
    BodyTimeoutError,
    BodyTooLargeError,
    UnsupportedMediaTypeError,
    ValidationFailedError,
)
JSON_REFUSALS: tuple[Refusal, ...] = (InvalidJSONError, *_BODY_REFUSALS)


def body(schema_class: type[Schema]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a view its request's JSON, checked by a schema, as the keyword argument `body`."""
    schema = schema_class()
    return lambda view: promise(
        _with_argument(view, "body", schema, read_json), *JSON_REFUSALS, body=schema
    )


def form(schema_class: type[Schema]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a view its request's form, checked by a schema, as the keyword argument `form`."""
    schema = schema_class()
    return lambda view: promise(
        _with_argument(view, "form", schema, _read_form),
        InvalidFormError,
        *_BODY_REFUSALS,
        body=schema,
        body_type=FORM,
    )


def query(schema_class: type[Schema]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a view its query string, checked by a schema, as the keyword argument `query`."""
    schema = schema_class()
    return lambda view: promise(
        _with_argument(view, "query", schema, _read_query), ValidationFailedError, query=schema
    )


def read_json() -> Any:
    """Return the request's JSON. Raises one of `JSON_REFUSALS`, but for the last."""
    try:
        return ijson.parse(read(request, JSON))
    except ValueError as error:
        raise InvalidJSONError from error


def _read_form() -> Any:
    return parse_form(read(request, FORM))


def _read_query() -> Any:
    return request.args.to_dict()


def _with_argument(
    view: Callable[..., Any], name: str, schema: Schema, source: Callable[[], Any]
) -> Callable[..., Any]:
    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        kwargs[name] = load(schema, source())
        return view(*args, **kwargs)

    return wrapper


def is_absent(incoming: Request) -> bool:
    """Return whether a request says in no header that it has a body (RFC 9112 section 6)."""
    told = (incoming.content_type, incoming.content_length, "Transfer-Encoding" in incoming.headers)
    return not any(told)


def read(incoming: Request, media_type: str) -> bytes:
    """Return the whole body of a request of this media type.

    Raises `UnsupportedMediaTypeError`, `BodyTooLargeError` (before reading, where the length is
    told), `IncompleteBodyError` and `BodyTimeoutError`.
    """
    charset = incoming.mimetype_params.get("charset", "utf-8").lower()
    if incoming.mimetype != media_type or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMediaTypeError(f"Send the body as {media_type} in UTF-8.")
    told = incoming.content_length or 0
    if told > MAX_BODY:
        raise BodyTooLargeError
    try:
        # One byte more than allowed, because a chunked body does not tell its length.
        data = incoming.stream.read(MAX_BODY + 1)
    except BlockingIOError as error:  # the socket's receive time-out
        raise BodyTimeoutError from error
    except (OSError, ParseException, ClientDisconnected) as error:  # broken off, or framed wrongly
        raise IncompleteBodyError from error
    if len(data) > MAX_BODY:
        raise BodyTooLargeError
    if len(data) < told:  # gunicorn's stream just ends
        raise IncompleteBodyError
    return data


def parse_form(data: bytes) -> dict[str, str]:
    """Parse a form (RFC 6749 appendix B): percent-encoded UTF-8, no field twice (section 3.1).

    Raises `InvalidFormError`.
    """
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError as error:
        raise InvalidFormError from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidFormError
    return fields
