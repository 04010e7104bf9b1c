"""gunicorn's connections, with fewer system calls: each lets go of Python's lock, too."""

import socket
from http import HTTPStatus
from typing import Any

from gunicorn.config import Config
from gunicorn.http.wsgi import Response as GunicornResponse
from gunicorn.workers.gthread import TConn

_LATER = f"{HTTPStatus.SERVICE_UNAVAILABLE:d} "


class Peer(socket.socket):
    """A client's socket that changes its mode only before something is sent or received in it.

    gunicorn sets it to wait, not to wait, or to wait until a deadline, five times for each request,
    most of which nothing comes of.
    """

    _wanted: float | None = None

    def setblocking(self, flag: bool, /) -> None:  # noqa: FBT001 - the socket's signature
        """Wait without end from here on, or not at all."""
        self._wanted = None if flag else 0.0

    def settimeout(self, value: float | None, /) -> None:
        """Wait for so many seconds from here on; None is without end."""
        self._wanted = value

    def gettimeout(self) -> float | None:
        """Return for how many seconds it waits."""
        return self._wanted

    def recv(self, *args: Any) -> bytes:
        """Receive as a socket does."""
        self._change()
        return super().recv(*args)

    def send(self, *args: Any) -> int:
        """Send as a socket does."""
        self._change()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        """Send all as a socket does."""
        self._change()
        super().sendall(*args)

    def _change(self) -> None:
        if super().gettimeout() != self._wanted:
            super().settimeout(self._wanted)


class Connection(TConn):  # type: ignore[misc] # gunicorn has no types
    """A connection whose socket is a `Peer`."""

    def __init__(self, cfg: Config, sock: socket.socket, client: object, server: object) -> None:
        super().__init__(cfg, Peer(fileno=sock.detach()), client, server)


class Response(GunicornResponse):  # type: ignore[misc] # gunicorn has no types
    """Sends its headers together with the first part of its body, and so mostly all at once.

    gunicorn sends them by themselves. That is a packet more, which wakes the client too early.

    Whoever is to come again later (503) comes by a new connection, and so perhaps to a worker that
    has more time.
    """

    sock: Any

    def start_response(self, status: str, *args: Any, **kwargs: Any) -> Any:
        """Begin an answer, as WSGI has it (PEP 3333)."""
        if status.startswith(_LATER):
            self.force_close()
        return super().start_response(status, *args, **kwargs)

    def write(self, arg: bytes) -> None:
        """Send a part of the body, the first one with the headers."""
        if self.headers_sent:
            super().write(arg)
            return
        peer = self.sock
        self.sock = together = _Collecting()
        try:
            super().write(arg)
        finally:
            self.sock = peer
        peer.sendall(b"".join(together.parts))


class _Collecting:
    """As much of a socket as gunicorn writes to."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, part: bytes) -> None:
        self.parts.append(part)
