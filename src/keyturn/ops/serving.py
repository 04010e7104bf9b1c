"""gunicorn, where its own ways do not do: how workers share clients, stop, and log."""

import logging
import mmap
import re
import socket
import threading
import time
from array import array
from collections import deque
from contextlib import suppress
from math import inf
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.workers.gthread import ThreadWorker

from keyturn.ops.logs import Forwarder
from keyturn.ops.threads import Threads

# How many clients each worker has, in memory that all workers share, by the worker's age.
_CLOSED = 2**31 - 1  # of a place that has no worker which takes in clients
_clients = memoryview(mmap.mmap(-1, 128 * 4)).cast("i")
_clients[:] = array("i", [_CLOSED] * len(_clients))

_PATIENCE = 0.01  # seconds; a request that takes longer waits for something

_HESITATION = 0.0005  # seconds; another worker that is free takes a client in sooner

_HEARTBEAT = 0.5  # seconds; gunicorn would tell at every event, and wants to hear twice a minute

_FAREWELL = 0.5  # seconds that a client has to close, before it is closed

# "Invalid request from ip=…: " and "Error handling request " go on with bytes of the client,
# which may be a token in the wrong place.
_CLIENT_BYTES = re.compile(
    r"(Invalid request from ip=\S*):.*|(Error handling request) %s.*", re.DOTALL
)


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """Shares clients fairly with the other workers, waits for none, and forsakes none as it stops.

    - gunicorn's workers wait at one socket, and whoever is awake takes in all who come at once.
      They stay, as connections are kept alive, while the other workers idle. Sockets of their own
      (SO_REUSEPORT) share by chance instead, and who waits at one is lost as its worker stops.
    - Its main loop waits up to two seconds for a client to close after the last answer, and for
      each that does not, nobody else is served.
    - It keeps its socket open while it stops: who comes then, or still waits there, gets a reset.
    - All its threads run at once, of which Python lets one at a time: each time that one lets go,
      as for a write, another wakes up, on another core, and they take turns several times for each
      request. Here so many run as `at_once` says; besides those that wait for something, be it a
      hash, a lock or a slow client.
    """

    at_once = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: deque[Any] = deque()  # connections with a request that has not begun
        self._begun: dict[Any, float] = {}  # and those whose request has, with the time
        self._thread = threading.local()
        self._notified = -inf

    def get_thread_pool(self) -> Threads:
        """Return the threads that serve requests."""
        return Threads(self.cfg.threads)

    def enqueue_req(self, conn: Any) -> None:
        """Begin a request, or let it wait while enough others run."""
        self._waiting.append(conn)
        self._begin()

    def _begin(self) -> None:
        now = time.monotonic()
        running = sum(now - at < _PATIENCE for at in self._begun.values())
        while self._waiting and running < self.at_once:
            conn = self._waiting.popleft()
            self._begun[conn] = now
            running += 1
            super().enqueue_req(conn)

    def let_others(self) -> None:
        """Let another request begin, because the one that this thread serves is about to wait."""
        self._begun[self._thread.conn] = -inf
        self.method_queue.defer(self._begin)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Begin the next request, and be done with this one."""
        del self._begun[conn]
        self._begin()
        super().finish_request(conn, fs)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events, while requests wait no longer than those that run may be quick."""
        super().wait_for_and_dispatch_events(_PATIENCE if self._waiting else timeout)
        self._begin()

    def notify(self) -> None:
        """Tell the other workers how many clients this one has, as gunicorn that it lives."""
        now = time.monotonic()
        if now - self._notified >= _HEARTBEAT:
            super().notify()
            self._notified = now
        self._tell(self.nr_conns if self.alive else _CLOSED)

    def _tell(self, clients: int) -> None:
        _clients[self.age % len(_clients)] = clients

    def forget(self) -> None:
        """Tell, in its stead, that a worker is gone."""
        self._tell(_CLOSED)

    def accept(self, listener: object) -> None:
        """Take in a client, if no worker that has fewer is quicker."""
        if self.nr_conns > min(_clients):
            time.sleep(_HESITATION)
        super().accept(listener)

    def handle(self, conn: Any) -> object:
        """Serve a request, and see the client off, in this thread, if it was the last."""
        self._thread.conn = conn
        stays = super().handle(conn)
        if not stays:
            self.let_others()
            _see_off(conn.sock)
        return stays

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - gunicorn's signature
        """Take in all who wait and close the sockets, if that is to be the end."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                self._take_in_all(listener)
                listener.close()

    def _take_in_all(self, listener: object) -> None:
        before = -1
        while before < self.nr_conns < self.worker_connections:
            before = self.nr_conns
            super().accept(listener)


def _see_off(peer: socket.socket) -> None:
    # Closing while more comes in would send a reset, which may overtake the answer (RFC 9112, 9.6).
    deadline = time.monotonic() + _FAREWELL
    with suppress(OSError):
        peer.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            peer.settimeout(left)
            if not peer.recv(65536):
                break


class Logger(GunicornLogger):  # type: ignore[misc] # gunicorn has no types
    """Tells everything our way. Its access log stays off: a request has a line of ours."""

    def setup(self, cfg: Config) -> None:
        """Take over all that is logged in this process by the standard library's means."""
        super().setup(cfg)
        logging.captureWarnings(capture=True)
        logging.getLogger().handlers = [Forwarder()]
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.error_log.filters = [_without_client_bytes]


def _without_client_bytes(record: logging.LogRecord) -> bool:
    if match := _CLIENT_BYTES.fullmatch(record.msg):
        record.msg, record.args = match[1] or match[2], ()
    return True
