"""The guard of routes that are for other services, which show a service token."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import request

from keyturn.bearer.errors import MissingTokenError
from keyturn.downstream import credentials
from keyturn.errors import InvalidServiceTokenError
from keyturn.http.contract import promise


def service_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a view: only a service with its token may ask.

    The token comes as a bearer's (RFC 6750), or with the service's name as HTTP Basic, as OAuth
    clients authenticate (RFC 6749 section 2.3.1). Raises `MissingTokenError` and
    `InvalidServiceTokenError`.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        name, token = _presented()
        owner = credentials.owner_of(token)
        if owner is None or name not in {None, owner}:
            raise InvalidServiceTokenError
        return view(*args, **kwargs)

    guarded.access = "service"  # type: ignore[attr-defined]
    return promise(guarded, MissingTokenError, InvalidServiceTokenError)


def _presented() -> tuple[str | None, str]:
    sent = request.authorization
    if sent is None or sent.type not in {"basic", "bearer"}:
        raise MissingTokenError
    if sent.type == "basic":
        return sent.username, sent.password or ""
    return None, sent.token or ""
