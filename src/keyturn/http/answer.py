"""Writes an answer: a schema dumps what the view returns."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import orjson
from flask import Flask, Response, request
from marshmallow import Schema

from keyturn.http.contract import JSON, Answer, Header, reads, sends

_View = TypeVar("_View", bound=Callable[..., Any])


def _json(document: object) -> Response:
    text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    return Response(text, content_type=JSON)


def answers(
    schema_class: type[Schema], *, many: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Answer 200 with what the view returns, dumped by a schema as JSON."""
    schema = schema_class(many=many)

    def decorate(view: Callable[..., Any]) -> Callable[..., Response]:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Response:
            return _json(schema.dump(view(*args, **kwargs)))

        return sends(Answer(200, JSON, schema))(wrapper)

    return decorate


def answers_nothing(view: Callable[..., None]) -> Callable[..., tuple[str, int]]:
    """Answer 204."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> tuple[str, int]:
        view(*args, **kwargs)
        return "", 204

    return sends(Answer(204))(wrapper)


def answers_created(
    schema_class: type[Schema],
) -> Callable[[Callable[..., Any]], Callable[..., tuple[Response | str, int]]]:
    """Answer 201 with what the view returns, dumped by a schema; 202 with nothing for None."""
    schema = schema_class()

    def decorate(view: Callable[..., Any]) -> Callable[..., tuple[Response | str, int]]:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> tuple[Response | str, int]:
            made = view(*args, **kwargs)
            return ("", 202) if made is None else (_json(schema.dump(made)), 201)

        return sends(Answer(201, JSON, schema), Answer(202))(wrapper)

    return decorate


def answers_headers(
    *headers: Header,
) -> Callable[[Callable[..., tuple[str, ...]]], Callable[..., Response]]:
    """Answer 204 with these headers, whose values the view returns."""
    names = [header.name for header in headers]

    def decorate(view: Callable[..., tuple[str, ...]]) -> Callable[..., Response]:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Response:
            values = view(*args, **kwargs)
            return Response(status=204, headers=list(zip(names, values, strict=True)))

        return sends(Answer(204, headers=headers))(wrapper)

    return decorate


def kept_for(seconds: int) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Let the client that got an answer, and no cache it shares, keep it for so long."""

    def decorate(view: Callable[..., Response]) -> Callable[..., Response]:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Response:
            response = view(*args, **kwargs)
            response.headers["Cache-Control"] = f"private, max-age={seconds}"
            return response

        return wrapper

    return decorate


_IF_NONE_MATCH = Header("If-None-Match", "The ETag of an answer that is still at hand.")


@dataclass(frozen=True)
class Document:
    """JSON text that whoever asked may keep for `max_age` seconds."""

    text: str
    max_age: int


def answers_document(
    schema_class: type[Schema],
) -> Callable[[Callable[..., Document]], Callable[..., Response]]:
    """Answer 200 with the document that the view returns, or 304 to whoever has it (RFC 9110, 13).

    It fits the schema; it is not dumped, because such text is made once and sent often.
    """

    def decorate(view: Callable[..., Document]) -> Callable[..., Response]:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Response:
            document = view(*args, **kwargs)
            response = Response(document.text, mimetype=JSON)
            response.cache_control.public = True
            response.cache_control.max_age = document.max_age
            response.add_etag()
            response.make_conditional(request)
            return response

        kept = sends(Answer(200, JSON, schema_class()), Answer(304))
        return kept(reads(_IF_NONE_MATCH)(wrapper))

    return decorate


def public(view: _View) -> _View:
    """Mark a view that anybody may call. One with neither this nor a guard fails a test."""
    view.access = "public"  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    """Keep every answer out of caches and content sniffing, unless its view said otherwise."""

    @app.after_request
    def protect(response: Response) -> Response:
        # Not `in response.headers`, which raises and catches an exception each time it is not.
        if "cache-control" not in response.headers.keys(lower=True):
            response.headers.add("Cache-Control", "no-store")  # RFC 6749 section 5.1
        response.headers.add("X-Content-Type-Options", "nosniff")
        return response
