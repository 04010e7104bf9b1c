"""Who acts, and from where: a client over HTTP, an operator at a shell, or Keyturn itself.

The edges say so once for all they call, so that no use case has to hand it down.
"""

import os
import pwd
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Self

MAX_USER_AGENT = 512
MAX_ADDRESS = 45  # an IPv6 address with an IPv4 one in it

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Actor(NamedTuple):
    """Either `operator`, a user of the operating system, or a client's address and user agent.

    None of them is Keyturn itself.
    """

    operator: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None

    @classmethod
    def of_request(cls, environ: Mapping[str, Any]) -> Self:
        """Return the client of a WSGI request, cut to what is kept."""
        user_agent = environ.get("HTTP_USER_AGENT", "").replace("\0", "")[:MAX_USER_AGENT]
        return cls(None, (environ.get("REMOTE_ADDR") or "")[:MAX_ADDRESS], user_agent)

    @classmethod
    def of_shell(cls) -> Self:
        """Return whoever runs this process, and who became that by sudo."""
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:  # as in a container
            name = f"uid {os.getuid()}"
        sudo = os.environ.get("SUDO_USER")
        return cls(operator=f"{name} (sudo: {sudo})"[:64] if sudo else name)


KEYTURN = Actor()  # the service itself, asked by nobody

_current: ContextVar[Actor] = ContextVar("actor", default=KEYTURN)


def current() -> Actor:
    """Return who acts."""
    return _current.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Let everything within be done by this actor."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


def by_client(serve: Wsgi) -> Wsgi:
    """Let a WSGI application act for the client of each request."""

    def serve_client(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        token = _current.set(Actor.of_request(environ))
        try:
            return serve(environ, start_response)
        finally:
            _current.reset(token)

    return serve_client
