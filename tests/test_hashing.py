"""Hashing is bounded: in cores, in memory, and in the threads that wait for it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask

from keyturn import clock
from keyturn.config import Settings
from keyturn.errors import BusyError, ConfigurationError
from keyturn.hashing import HashingQueue
from keyturn.passwords import Passwords
from keyturn.throttle.budgets import time_of
from keyturn.throttle.models import SpentBudget
from tests.conftest import SECRETS
from tests.support.api import BOB, Api, assert_problem
from tests.support.database import rows, statements
from tests.support.server import START_DEADLINE, Answer, Server

NEW = "correct horse battery"


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    """Two places: one hash is computed, one request waits."""
    return {**settings, "WEB_CONCURRENCY": "64", "HASH_QUEUE": "1"}


@pytest.fixture
def queue(app: Flask) -> HashingQueue:
    queue: HashingQueue = app.extensions["keyturn"].passwords.queue
    return queue


def counted(queue: HashingQueue) -> tuple[int, int, int]:
    return queue.running, queue.queued, queue.refused


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# --- the queue ------------------------------------------------------------------------------------


@contextmanager
def occupied(queue: HashingQueue) -> Iterator[None]:
    """Keep the queue's one thread busy while the block runs."""
    begun, over = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        over.wait(START_DEADLINE)

    queue._threads.submit(wait)
    assert begun.wait(START_DEADLINE)
    try:
        yield
    finally:
        over.set()


def test_as_many_hash_at_once_as_may_and_the_others_wait_their_turn() -> None:
    queue, over = HashingQueue(parallel=2), threading.Event()
    with ThreadPoolExecutor(5) as pool:
        work = [pool.submit(queue.run, over.wait, START_DEADLINE) for _ in range(5)]
        wait_until(lambda: counted(queue) == (2, 3, 0))
        over.set()
    assert [one.result() for one in work] == [True] * 5
    assert counted(queue) == (0, 0, 0)


def test_there_are_places_for_those_who_hash_and_those_who_wait() -> None:
    queue = HashingQueue(parallel=1, waiting=1)
    with queue.place(), queue.place():
        with pytest.raises(BusyError) as refused, queue.place():
            pass
        assert refused.value.retry_after == 1
    with queue.place(), queue.place():
        assert counted(queue) == (0, 0, 1)


def test_a_place_and_a_turn_are_given_back_whatever_happens() -> None:
    queue = HashingQueue()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), queue.place():
            queue.run(divmod, 1, 0)
    assert counted(queue) == (0, 0, 0)


def test_who_waits_too_long_for_a_turn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyturn.hashing.PATIENCE", 0)
    queue = HashingQueue()
    with occupied(queue), pytest.raises(BusyError) as refused:
        queue.run(divmod, 1, 1)
    assert refused.value.retry_after == 1
    assert counted(queue) == (0, 0, 1)


def test_a_hash_that_has_begun_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyturn.hashing.PATIENCE", 0)
    queue, begun = HashingQueue(), threading.Event()
    result = Future.result

    def result_once_begun(work: Future[int], timeout: float | None = None) -> int:
        begun.wait(START_DEADLINE)
        return result(work, timeout)

    monkeypatch.setattr(Future, "result", result_once_begun)

    def slow() -> int:
        begun.set()
        time.sleep(0.01)
        return 7

    assert queue.run(slow) == 7


def test_every_hash_takes_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords()
    stored = passwords.hash("x")
    monkeypatch.setattr("keyturn.hashing.PATIENCE", 0)
    with occupied(passwords.queue):
        for ask in (
            lambda: passwords.hash("x"),
            lambda: passwords.verify("x", stored),
            lambda: passwords.verify("x", None),
        ):
            with pytest.raises(BusyError):
                ask()


# --- requests -------------------------------------------------------------------------------------


def assert_busy(api: Api, access_token: str) -> None:
    body = {"currentPassword": BOB["password"], "newPassword": NEW}
    for answer in (api.login(), api.send("PUT", "/users/me/password", access_token, body)):
        assert_problem(answer, 503, "busy")
        assert answer.headers["Retry-After"] == "1"


@pytest.mark.usefixtures("clock")
def test_who_finds_the_queue_full_is_refused_before_anything_is_asked(
    api: Api, app: Flask, queue: HashingQueue
) -> None:
    token = api.tokens()["accessToken"]
    with queue.place(), queue.place(), statements(app) as sent:
        assert_busy(api, token)
        assert api.me(token).status_code == 200
    assert [statement.split()[0] for statement in sent] == ["SELECT", "SELECT"]  # of the guard
    assert api.login().status_code == 200


@pytest.mark.usefixtures("clock")
def test_who_waited_in_vain_has_spent_no_guess(
    api: Api, app: Flask, queue: HashingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = api.tokens()["accessToken"]
    monkeypatch.setattr("keyturn.hashing.PATIENCE", 0)
    with occupied(queue):
        assert_busy(api, token)
    full_since = {time_of(budget.full_at) for budget in rows(app, SpentBudget)}
    assert full_since == {clock.now()}


def test_a_flood_of_logins_leaves_threads_to_others(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY=1, THREADS=4, HASH_QUEUE=1, THROTTLE_ACCOUNT="100/1")
    bearer = {"Authorization": f"Bearer {server.login()['accessToken']}"}

    def log_in(_: int) -> Answer:
        return server.request("POST", "/auth/login", {**BOB})

    with ThreadPoolExecutor(12) as pool:
        flood = pool.map(log_in, range(60))
        others = [server.request("GET", "/users/me", headers=bearer) for _ in range(20)]
        answers = list(flood)
    assert [answer.status for answer in others] == [200] * 20
    met = Counter((answer.status, answer.json.get("code")) for answer in answers)
    assert met.keys() == {(200, None), (503, "busy")}
    refused = [answer.headers for answer in answers if answer.status == 503]
    assert {headers["Retry-After"] for headers in refused} == {"1"}
    assert {headers["Connection"] for headers in refused} == {"close"}


# --- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cores", "given", "at_once", "waiting"),
    [
        (2, {}, 1, 11),
        (8, {"WEB_CONCURRENCY": "2"}, 4, 8),
        (16, {"WEB_CONCURRENCY": "1"}, 12, 0),
        (1, {"WEB_CONCURRENCY": "4"}, 1, 11),
        (2, {"THREADS": "1"}, 1, 0),
        (2, {"THREADS": "8"}, 1, 5),
        (2, {"HASH_QUEUE": "6"}, 1, 6),
    ],
)
def test_the_workers_share_the_cores_and_leave_threads_to_others(
    monkeypatch: pytest.MonkeyPatch, cores: int, given: dict[str, str], at_once: int, waiting: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    settings = Settings.load({**SECRETS, **given})
    assert (settings.hashes_at_once, settings.hashes_waiting) == (at_once, waiting)


def test_a_queue_that_leaves_no_thread_to_others_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="HASH_QUEUE leaves none of THREADS"):
        Settings.load({**SECRETS, "WEB_CONCURRENCY": "64", "THREADS": "4", "HASH_QUEUE": "3"})
