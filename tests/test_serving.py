"""Which requests of a worker run: by hand, without a server."""

from collections.abc import Iterator
from concurrent.futures import Future
from threading import Thread
from unittest import mock

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from keyturn.ops.serving import Worker


class Bench:
    """A worker that begins requests, and a clock that is moved."""

    def __init__(self) -> None:
        self.worker = Worker(1, 1, [], mock.Mock(), 30, Config(), mock.Mock())
        self.worker.at_once = 2
        self.begun: list[str] = []
        self.polled: list[float] = []  # for how many seconds at most
        self.now = 1000.0

    def ask(self, *requests: str) -> None:
        for request in requests:
            self.worker.enqueue_req(request)

    def answer(self, request: str) -> None:
        self.worker.finish_request(request, Future())

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.worker.wait_for_and_dispatch_events(timeout=1)

    def wait_in(self, request: str) -> None:
        """Say in the request's thread that it is about to wait."""

        def serve(_: object, conn: str) -> bool:
            self.worker.let_others()
            return bool(conn)

        with (
            mock.patch.object(ThreadWorker, "handle", serve),
            mock.patch.object(
                self.worker.method_queue, "defer", side_effect=lambda callback: callback()
            ),
        ):
            thread = Thread(target=self.worker.handle, args=(request,))
            thread.start()
            thread.join()


@pytest.fixture
def bench() -> Iterator[Bench]:
    it = Bench()

    with (
        mock.patch.object(ThreadWorker, "enqueue_req", it.begun.append),
        mock.patch.object(ThreadWorker, "finish_request"),
        mock.patch.object(ThreadWorker, "wait_for_and_dispatch_events", it.polled.append),
        mock.patch("keyturn.ops.serving.time.monotonic", side_effect=lambda: it.now),
    ):
        yield it
    it.worker.tmp.close()


def test_two_run_at_once_and_the_next_begins_when_one_is_done(bench: Bench) -> None:
    bench.ask("a", "b", "c", "d")
    assert bench.begun == ["a", "b"]
    bench.answer("b")
    assert bench.begun == ["a", "b", "c"]
    bench.answer("c")
    bench.answer("a")
    bench.ask("e")
    assert bench.begun == ["a", "b", "c", "d", "e"]


def test_one_that_is_about_to_wait_lets_the_next_begin(bench: Bench) -> None:
    bench.ask("a", "b", "c", "d")
    bench.wait_in("a")
    assert bench.begun == ["a", "b", "c"]
    bench.answer("a")  # it was counted out, so nobody takes its place
    assert bench.begun == ["a", "b", "c"]


def test_one_that_takes_long_waits_for_something(bench: Bench) -> None:
    bench.ask("a", "b", "c", "d", "e")
    bench.wait(0.009)
    assert bench.begun == ["a", "b"]
    bench.wait(0.002)
    assert bench.begun == ["a", "b", "c", "d"]


def test_the_main_loop_wakes_up_for_those_who_wait(bench: Bench) -> None:
    bench.ask("a", "b")
    bench.wait(0)
    bench.ask("c")
    bench.wait(0)
    assert bench.polled == [1, 0.01]


def test_the_arbiter_hears_now_and_then_that_the_worker_lives(bench: Bench) -> None:
    with mock.patch.object(bench.worker.tmp, "notify") as heard:
        for _ in range(4):
            bench.worker.notify()
            bench.now += 0.2
    assert heard.call_count == 2
