"""Stopping, replacing and killing the server: whoever was promised something gets it."""

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event

import pytest
from flask import Flask
from sqlalchemy import update

from keyturn.auth.models import RefreshToken
from keyturn.tokens.models import SigningKey
from tests.support.clients import BOB, Persistent, Visitor, log_in, refresh, who_am_i
from tests.support.database import execute, rows
from tests.support.server import START_DEADLINE, Server

Serve = Callable[..., Server]
Connect = Callable[[Server], socket.socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open connections that are closed with the test."""
    with ExitStack() as connections:

        def opened(server: Server) -> socket.socket:
            address = ("127.0.0.1", server.port)
            return connections.enter_context(socket.create_connection(address, START_DEADLINE))

        yield opened


def read_to_end(peer: socket.socket) -> bytes:
    """All that comes until the server closes. A reset raises."""
    return read_until(peer, None)


def read_until(peer: socket.socket, end: bytes | None) -> bytes:
    data = b""
    while (end is None or not data.endswith(end)) and (chunk := peer.recv(65536)):
        data += chunk
    return data


LOGIN = json.dumps(BOB).encode()
LOGIN_HEAD = (
    b"POST /auth/login HTTP/1.1\r\nHost: keyturn\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(LOGIN)
)


PING = b"GET /livez HTTP/1.1\r\nHost: keyturn\r\n\r\n"
PONG = b'{"status":"ok"}\n'


def test_a_server_that_stops_answers_all_who_have_connected(serve: Serve, connect: Connect) -> None:
    server = serve(WEB_CONCURRENCY=1)
    (worker,) = server.worker_pids()
    begun, idle, kept = (connect(server) for _ in range(3))
    begun.sendall(LOGIN_HEAD + LOGIN[:10])
    for peer in (idle, kept):
        peer.sendall(PING)
        assert read_until(peer, PONG).startswith(b"HTTP/1.1 200 OK")
    os.kill(worker, signal.SIGSTOP)  # so that all of this is there when it is told to stop
    waiting = [connect(server) for _ in range(4)]
    for peer in waiting:
        peer.sendall(LOGIN_HEAD + LOGIN)
    kept.sendall(PING)
    server.terminate()
    server.wait_until(lambda: "Handling signal: term" in server.log())
    os.kill(worker, signal.SIGCONT)
    for peer in waiting:
        assert read_to_end(peer).startswith(b"HTTP/1.1 200 OK")
    with pytest.raises(ConnectionRefusedError):
        connect(server)
    begun.sendall(LOGIN[10:])
    assert read_to_end(begun).startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in read_to_end(kept)
    assert read_to_end(idle) == b""
    server.wait_until(server.is_gone)


@contextmanager
def at_work(*clients: Visitor | Persistent) -> Iterator[None]:
    """Let clients work meanwhile. Raises what any of them raised."""
    finish = Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        runs = [pool.submit(client.run, finish) for client in clients]
        try:
            yield
        finally:
            finish.set()
        for run in runs:
            run.result()


def test_a_server_that_is_replaced_under_load_loses_no_request(serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY=2)
    server.wait_until(lambda: len(server.worker_pids()) == 2)
    old = server.worker_pids()
    visitors = [
        Visitor(server.port, do, keep_alive, server.login().get(token))
        for do, token in ((who_am_i, "accessToken"), (refresh, "refreshToken"), (log_in, ""))
        for keep_alive in (True, False)
    ]
    with at_work(*visitors):
        assert server.replace()
        seen = [len(visitor.statuses) for visitor in visitors]
        server.wait_until(
            lambda: all(
                len(visitor.statuses) > before + 2
                for visitor, before in zip(visitors, seen, strict=True)
            )
        )
    assert not {*server.worker_pids()} & {*old}
    assert {status for visitor in visitors for status in visitor.statuses} == {200}


def test_a_server_whose_successor_cannot_start_goes_on(serve: Serve, app: Flask) -> None:
    server = serve(WEB_CONCURRENCY=1)
    old = server.worker_pids()
    execute(app, update(SigningKey).values(private_key=b"sealed with another secret"))
    assert not server.replace()
    assert "does not open signing key" in server.log()
    assert server.worker_pids() == old
    assert server.login()


def test_killing_anything_at_any_time_loses_nothing_that_was_acknowledged(
    serve: Serve, app: Flask
) -> None:
    server = serve(WEB_CONCURRENCY=2)
    clients = [Persistent(server.port) for _ in range(4)]
    chance = random.Random(20261124)
    with at_work(*clients):
        for victim in ("worker", "worker", "server", "worker"):
            time.sleep(chance.uniform(0.05, 0.4))
            if victim == "worker":
                server.kill_worker(chance.choice(server.worker_pids()))
            else:
                server.kill()
                server.start()
    stored = {login.id: login for login in rows(app, RefreshToken)}
    for history in (history for client in clients for history in client.histories):
        login = stored[history.login_id]
        assert login.generation == history.refreshes
        assert login.revoked_reason == ("logout" if history.logged_out else None)
    for client in clients:
        token = {"refreshToken": client.histories[-1].token}
        assert server.request("POST", "/auth/refresh", token).status == 200
