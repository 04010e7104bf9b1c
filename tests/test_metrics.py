"""Metrics under real gunicorn: right sums over several workers, at a port of their own."""

import http.client
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from sqlalchemy import text, update

from keyturn.auth.models import RefreshToken
from keyturn.hashing import HashingQueue
from keyturn.ops import metrics
from tests.support.database import execute
from tests.support.server import START_DEADLINE, Answer, Server, free_port
from tests.test_hashing import wait_until

Serve = Callable[..., Server]

REQUESTS = "keyturn_request_duration_seconds_count"


def value(server: Server, name: str, /, **labels: str) -> float:
    return server.metrics()[name, frozenset(labels.items())]


def spend(server: Server, token: str) -> Answer:
    return server.request("POST", "/auth/refresh", {"refreshToken": token})


@contextmanager
def only(server: Server, worker: int) -> Iterator[None]:
    """Let one worker do all the work."""
    others = [pid for pid in server.worker_pids() if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in others:
        os.kill(pid, signal.SIGCONT)


def test_events_are_summed_over_all_workers_dead_ones_included(serve: Serve) -> None:
    server = serve(WEB_CONCURRENCY=2, METRICS_PORT=free_port(), REFRESH_GRACE=0)
    server.wait_until(lambda: len(server.worker_pids()) == 2)  # the first one answers sooner
    workers = server.worker_pids()
    for worker in workers:
        with only(server, worker):
            token = server.login()["refreshToken"]
            newest = spend(server, token).json["refreshToken"]
            assert spend(server, token).json["code"] == "refresh_reused"
            assert spend(server, newest).json["code"] == "refresh_revoked"
            assert spend(server, "nonsense").status == 401
            wrong = {"email": "bob@gmail.com", "password": "wrong"}
            assert server.request("POST", "/auth/login", wrong).status == 401
            assert server.request("GET", f"/{worker}").status == 404
            assert server.request("BREW", "/livez").status == 405
    server.kill_worker(workers[0])
    server.wait_until(lambda: workers[0] not in server.worker_pids())
    for result in ("rotated", "reused", "revoked", "invalid"):
        assert value(server, "keyturn_refreshes_total", result=result) == 2
    for result in ("replayed", "access_only", "expired", "too_many_replays"):
        assert value(server, "keyturn_refreshes_total", result=result) == 0
    assert value(server, "keyturn_logins_total", result="ok") == 2
    assert value(server, "keyturn_logins_total", result="invalid_credentials") == 2
    login = {"route": "/auth/login", "method": "POST"}
    assert value(server, REQUESTS, **login, status="200") == 2
    assert value(server, REQUESTS, **login, status="401") == 2
    assert value(server, REQUESTS, route="unmatched", method="GET", status="404") == 2
    assert value(server, REQUESTS, route="unmatched", method="other", status="405") == 2


def test_logins_held_back_are_counted(serve: Serve) -> None:
    limits = {"HASH_QUEUE": 1, "THROTTLE_ACCOUNT": "3/86400"}
    server = serve(METRICS_PORT=free_port(), WEB_CONCURRENCY=2, **limits)
    wrong = {"email": "bob@gmail.com", "password": "wrong"}
    with ThreadPoolExecutor(12) as clients:
        sent = [clients.submit(server.request, "POST", "/auth/login", wrong) for _ in range(24)]
    answers = [one.result() for one in sent]
    answers += [server.request("POST", "/auth/login", wrong) for _ in range(4)]
    told = Counter(answer.json["code"] for answer in answers)
    assert value(server, "keyturn_hashes_refused_total") == told["busy"]
    for code in ("invalid_credentials", "too_many_attempts"):
        assert value(server, "keyturn_logins_total", result=code) == told[code] > 0
    assert value(server, "keyturn_hashes_running") == 0
    assert value(server, "keyturn_hashes_queued") == 0


def test_hashing_is_told_as_it_goes_on() -> None:
    queue, over = HashingQueue(parallel=2), threading.Event()
    before = hashing()
    queue.on_change = metrics.observe_hashing
    with ThreadPoolExecutor(5) as pool:
        work = [pool.submit(queue.run, over.wait, START_DEADLINE) for _ in range(5)]
        wait_until(lambda: hashing() == before + Counter(running=2, queued=3))
        over.set()
    assert all(one.result() for one in work)
    assert hashing() == before


def hashing() -> Counter[str]:
    names = ("running", "queued")
    samples = {name: REGISTRY.get_sample_value(f"keyturn_hashes_{name}") for name in names}
    return Counter({name: int(sample or 0) for name, sample in samples.items()})


def test_a_restart_counts_from_zero_and_leaves_nothing_behind(serve: Serve) -> None:
    server = serve(METRICS_PORT=free_port())
    server.login()
    assert value(server, "keyturn_logins_total", result="ok") == 1
    server.stop()
    assert list(server.tmp.iterdir()) == []
    server.start()
    assert value(server, "keyturn_logins_total", result="ok") == 0


def test_what_is_asked_of_the_database(serve: Serve, app: Flask) -> None:
    server = serve(METRICS_PORT=free_port(), WEB_CONCURRENCY=1)
    for _ in range(2):
        server.login()
    ended = server.login()["refreshToken"]
    assert server.request("DELETE", "/auth/logout", {"refreshToken": ended}).status == 204
    overdue = datetime.now(UTC) - timedelta(days=30, hours=1)
    execute(
        app,
        update(RefreshToken)
        .where(RefreshToken.revoked_at.is_not(None))
        .values(idle_expires_at=overdue),
    )
    assert value(server, "keyturn_live_logins") == 2
    assert 3600 <= value(server, "keyturn_purge_lag_seconds") < 3600 + 600
    assert value(server, "keyturn_database_up") == 1
    server.login()  # and the overdue one is purged
    assert value(server, "keyturn_purge_lag_seconds") == 0
    execute(app, text("ALTER TABLE refresh_tokens RENAME TO elsewhere"))
    assert value(server, "keyturn_database_up") == 0
    assert "keyturn_live_logins" not in {name for name, _ in server.metrics()}


def test_they_are_not_at_the_public_port_nor_anything_else_at_theirs(serve: Serve) -> None:
    port = free_port()
    server = serve(METRICS_PORT=port)
    assert server.request("GET", "/metrics").json["code"] == "not_found"
    for path in ("/livez", "/auth/login", "/", "/metrics/x"):
        private = http.client.HTTPConnection("127.0.0.1", port)
        private.request("GET", path, headers={"Host": f"127.0.0.1:{server.port}"})
        assert private.getresponse().status == 404
        private.close()
    public = http.client.HTTPConnection("127.0.0.1", server.port)
    public.request("GET", "/metrics", headers={"Host": f"127.0.0.1:{port}"})
    assert public.getresponse().status == 404
    public.close()


def test_there_are_none_unless_asked_for(client: FlaskClient) -> None:
    for port in (8000, 0):
        assert client.get("/metrics", base_url=f"http://127.0.0.1:{port}").status_code == 404
