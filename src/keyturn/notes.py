"""What is known of the request that is being served: who asks, and what happened.

Whoever learns something notes it, down to the use cases, which know nothing of logs and metrics;
the edge that began to collect tells both in the end. Where nobody collects, as in a command, a
note is dropped.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from keyturn.errors import KeyturnError

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

Notes = dict[str, Any]

OK = "ok"  # the result of what was done, where there is no more to say

_current: ContextVar[Notes | None] = ContextVar("notes", default=None)


def begin(notes: Notes) -> Token[Notes | None]:
    """Collect in `notes` until `end` is called with what this returns."""
    return _current.set(notes)


def end(token: Token[Notes | None]) -> None:
    """Collect no more."""
    _current.reset(token)


def current() -> Notes:
    """Return what is known so far."""
    return _current.get() or {}


def add(**facts: Any) -> None:
    """Note facts. None may be secret, nor an e-mail: they are logged as they are."""
    notes = _current.get()
    if notes is not None:
        notes.update(facts)


def event(
    name: str,
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Note a use case as an event, with its result: one word.

    It is `ok` or what the use case itself noted, the code of what it refused without the event's
    name (`refresh_reused`: `reused`), or `error`.
    """

    def decorate(use_case: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        @wraps(use_case)
        def wrapper(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            add(event=name, result=OK)
            try:
                return use_case(*args, **kwargs)
            except KeyturnError as error:
                add(result=error.code.removeprefix(f"{name}_"))
                raise
            except Exception:
                add(result="error")
                raise

        return wrapper

    return decorate
