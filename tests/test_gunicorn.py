"""The service as it is deployed: real gunicorn, several workers, a SQLite file."""

import os
import re
import select
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import flask_migrate
import jwt

from keyturn.commands import create_app
from keyturn.ops.serving import Worker
from tests.conftest import SECRETS, dispose
from tests.support.console import Run
from tests.support.databases import Databases
from tests.support.server import START_DEADLINE, Answer, Server

Serve = Callable[..., Server]


def refresh(server: Server, token: str, key: str | None = None) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return server.request("POST", "/auth/refresh", {"refreshToken": token}, headers)


def test_the_whole_flow_over_gunicorn(serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY=2)
    tokens = server.login()
    refreshed = refresh(server, tokens["refreshToken"])
    assert refreshed.status == 200
    bearer = {"Authorization": f"Bearer {refreshed.json['accessToken']}"}
    assert server.request("GET", "/users/me", headers=bearer).json["name"] == "Bob"
    logout = {"refreshToken": refreshed.json["refreshToken"]}
    assert server.request("DELETE", "/auth/logout", logout).status == 204
    assert server.request("GET", "/users/me", headers=bearer).status == 401


def test_eight_at_once_with_one_token_get_one_generation(serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY=4)
    token = server.login()["refreshToken"]
    for _ in range(5):
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(refresh, [server] * 8, [token] * 8))
        assert [answer.status for answer in answers] == [200] * 8
        (token,) = {answer.json["refreshToken"] for answer in answers}
    assert refresh(server, token).status == 200


def test_eight_at_once_with_keys_of_their_own_leave_one_chain(serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY=4)
    token = server.login()["refreshToken"]
    with ThreadPoolExecutor(8) as clients:
        keys = [f"tab-{number}" for number in range(8)]
        answers = list(clients.map(refresh, [server] * 8, [token] * 8, keys))
    assert [answer.status for answer in answers] == [200] * 8
    (successor,) = [
        answer.json["refreshToken"] for answer in answers if "refreshToken" in answer.json
    ]
    assert refresh(server, successor).status == 200


def test_a_worker_killed_between_commit_and_answer_costs_no_login(serve: Serve) -> None:
    dying = serve(app="tests.support.dying:app")
    token = dying.login()["refreshToken"]
    before = dying.worker_pids()
    assert _answer_is_lost(dying, token)
    dying.wait_until(lambda: set(dying.worker_pids()) != set(before))
    found = refresh(dying, token, key="kept by the client".replace(" ", "-"))
    assert found.status == 200
    assert refresh(dying, found.json["refreshToken"]).status == 200


def _answer_is_lost(server: Server, token: str) -> bool:
    headers = {"Idempotency-Key": "kept-by-the-client", "X-Die": "yes"}
    try:
        server.request("POST", "/auth/refresh", {"refreshToken": token}, headers)
    except OSError:
        return True
    return False


def test_a_login_revoked_for_reuse_stays_revoked_after_a_restart(serve: Serve) -> None:
    server = serve(REFRESH_GRACE=0)
    stolen = server.login()["refreshToken"]
    newest = refresh(server, stolen).json["refreshToken"]
    assert refresh(server, stolen).json["code"] == "refresh_reused"
    server.stop()
    server.start()
    assert refresh(server, newest).json["code"] == "refresh_revoked"


def test_a_login_outlives_a_restart(serve: Serve) -> None:
    server = serve()
    tokens = server.login()
    server.stop()
    server.start()
    bearer = {"Authorization": f"Bearer {tokens['accessToken']}"}
    assert server.request("GET", "/users/me", headers=bearer).status == 200
    assert refresh(server, tokens["refreshToken"]).status == 200


def test_a_stolen_key_is_refused_by_all_workers_without_a_restart(serve: Serve, run: Run) -> None:
    server = serve(WEB_CONCURRENCY=2)
    tokens = server.login()
    stolen = jwt.get_unverified_header(tokens["accessToken"])["kid"]
    bearer = {"Authorization": f"Bearer {tokens['accessToken']}"}

    def statuses() -> set[int]:
        return {server.request("GET", "/users/me", headers=bearer).status for _ in range(10)}

    assert statuses() == {200}
    assert run("keys", "revoke", stolen, "--yes").exit_code == 0
    server.wait_until(lambda: statuses() == {401})
    fresh = refresh(server, tokens["refreshToken"]).json["accessToken"]
    bearer["Authorization"] = f"Bearer {fresh}"
    assert statuses() == {200}


def test_a_start_before_the_migrations_waits_for_them(serve: Serve, databases: Databases) -> None:
    url = databases.create()
    server = serve(healthy="/livez", DATABASE_URL=url)
    assert server.request("GET", "/readyz").status == 503
    assert "Traceback" not in server.log()
    app = create_app({**SECRETS, "DATABASE_URL": url})
    with app.app_context():
        flask_migrate.upgrade()
    dispose(app)
    assert server.request("GET", "/readyz").status == 200
    assert len(server.request("GET", "/.well-known/jwks.json").json["keys"]) == 1


def test_a_wrong_setting_stops_the_start_with_one_clear_line(serve: Serve) -> None:
    failed = start_log(serve, REFRESH_SECRET="short")
    assert "keyturn cannot start: REFRESH_SECRET has 5 bytes, at least 32 are needed" in failed
    assert "Traceback" not in failed


def test_a_lost_encryption_secret_stops_the_start_and_says_what_helps(serve: Serve) -> None:
    failed = start_log(serve, KEY_ENCRYPTION_SECRET="Qm5wErTy8UiOp2AsDf6GhJkLz9XcVb3N")
    assert "keyturn cannot start: KEY_ENCRYPTION_SECRET does not open signing key 1" in failed
    assert "flask keys rotate --now" in failed
    assert "Traceback" not in failed


def test_a_database_that_cannot_be_used_stops_the_start(serve: Serve) -> None:
    failed = start_log(serve, DATABASE_URL="sqlite:////nowhere/keyturn.db")
    assert "keyturn cannot start: DATABASE_URL cannot be used" in failed
    assert "Traceback" not in failed


def start_log(serve: Serve, **settings: str) -> str:
    try:
        serve(**settings)
    except AssertionError as error:
        return str(error)
    raise AssertionError("it started")


def test_clients_that_do_not_close_keep_nobody_waiting(serve: Serve) -> None:
    """gunicorn by itself serves nobody for two seconds for each of them: 60 in all."""
    server = serve(WEB_CONCURRENCY=1)
    ping = b"GET /livez HTTP/1.1\r\nHost: keyturn\r\nConnection: close\r\n\r\n"
    with ExitStack() as peers:
        for _ in range(30):
            address = ("127.0.0.1", server.port)
            peer = peers.enter_context(socket.create_connection(address, START_DEADLINE))
            peer.sendall(ping)
        assert server.request("GET", "/livez").status == 200


def test_clients_that_stall_in_their_body_keep_nobody_waiting(serve: Serve) -> None:
    """They are more than run at once, and fewer than there are threads."""
    server = serve(WEB_CONCURRENCY=1)
    head = b"POST /auth/refresh HTTP/1.1\r\nHost: keyturn\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        peers = []
        for _ in range(2 * Worker.at_once):
            address = ("127.0.0.1", server.port)
            peer = stack.enter_context(socket.create_connection(address, START_DEADLINE))
            peer.sendall(head + b"Content-Length: 100\r\n\r\n{")
            peers.append(peer)
        assert server.request("GET", "/livez").status == 200
        answered, _, _ = select.select(peers, [], [], 0)
        assert not answered  # so they did stall all the while


def test_a_body_that_is_refused_unread_does_not_hide_the_answer(serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY=1)
    head = b"POST /auth/login HTTP/1.1\r\nHost: keyturn\r\nConnection: close\r\n"
    body = b"x" * 1_000_000
    sent = head + b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert server.raw(sent).startswith(b"HTTP/1.1 415")


def test_a_client_that_stays_has_its_socket_left_as_it_was(serve: Serve) -> None:
    """Changing its mode for the main loop and back takes system calls with every request."""
    server = serve(WEB_CONCURRENCY=1)
    with socket.create_connection(("127.0.0.1", server.port), START_DEADLINE) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: keyturn\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert server.request("GET", "/livez").status == 200  # so the main loop has had it back
        assert not _flags(server, client) & os.O_NONBLOCK


def _flags(server: Server, client: socket.socket) -> int:
    """The flags of the socket at which the server's worker has this client (man 5 proc)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = tuple(f":{port:04X}" for port in (server.port, client.getsockname()[1]))
    (inode,) = (row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1]))
    (pid,) = server.worker_pids()
    (handle,) = (
        link.name
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.resolve().name == f"socket:[{inode}]"  # one that was closed just now is no error
    )
    (flags,) = re.findall(r"flags:\s+(\d+)", Path(f"/proc/{pid}/fdinfo/{handle}").read_text())
    return int(flags, 8)
