"""What a view promises: noted by its decorators, read by the OpenAPI document."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from marshmallow import Schema

from keyturn.bearer.errors import BearerError
from keyturn.errors import KeyturnError
from keyturn.http.cookies import Cookie

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

Refusal = type[KeyturnError] | type[BearerError]

_View = TypeVar("_View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Header:
    """A header of a request or of an answer. `kind` is its JSON Schema type."""

    name: str
    explanation: str
    kind: str = "string"
    pattern: str = ""
    required: bool = False


@dataclass(frozen=True)
class Answer:
    """One way in which a view answers when nothing is refused; `media_type` "" has no content."""

    status: int = 200
    media_type: str = ""
    schema: Schema | None = None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What a view takes, what it answers, and what it refuses. A `cookie` may replace the body.

    A page for people is no part of the API: the OpenAPI document leaves it out.
    """

    is_api: bool = True

    body: Schema | None = None
    body_type: str = JSON
    cookie: Cookie | None = None
    sets: tuple[Cookie, ...] = ()
    query: Schema | None = None
    headers: tuple[Header, ...] = ()
    answers: tuple[Answer, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def contract_of(view: Callable[..., Any]) -> Contract:
    """Return what is promised of a view."""
    return getattr(view, "contract", Contract())


def promise(view: _View, *refusals: Refusal, **promises: Any) -> _View:
    """Add to a view's contract; decorators around it carry it outwards (`functools.wraps`)."""
    known = contract_of(view)
    view.contract = replace(known, refusals=known.refusals + refusals, **promises)  # type: ignore[attr-defined]
    return view


def refuses(*refusals: Refusal) -> Callable[[_View], _View]:
    """Say with which errors a view may answer, besides those of its other decorators."""
    return lambda view: promise(view, *refusals)


def reads(*headers: Header) -> Callable[[_View], _View]:
    """Say which request headers a view reads."""
    return lambda view: promise(view, headers=contract_of(view).headers + headers)


def sends(*answers: Answer) -> Callable[[_View], _View]:
    """Say how a view answers that makes its responses itself."""
    return lambda view: promise(view, answers=contract_of(view).answers + answers)
