"""Which requests of a worker run, and how their answers leave: by hand, without a server."""

from collections.abc import Iterator
from concurrent.futures import Future
from threading import Thread
from unittest import mock

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from keyturn.ops.serving import Response, Worker


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


class Answered:
    """An answer of three bytes of text, or of however many if it does not say."""

    def __init__(self, *headers: tuple[str, str], method: str = "GET") -> None:
        self.peer = mock.Mock()
        request = mock.Mock(method=method, version=(1, 1), headers=[])
        self.response = Response(request, self.peer, Config())
        self.response.start_response("200 OK", [("Content-Type", "text/plain"), *headers])

    @property
    def sent(self) -> list[bytes]:
        """What was sent, each packet by itself."""
        return [call.args[0] for call in self.peer.sendall.call_args_list]


LENGTH = ("Content-Length", "3")


def test_headers_leave_together_with_the_body() -> None:
    answer = Answered(LENGTH)
    answer.response.write(b"abc")
    answer.response.close()
    (packet,) = answer.sent
    head, _, body = packet.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3" in head
    assert body == b"abc"


def test_of_more_parts_the_first_leaves_with_the_headers() -> None:
    answer = Answered()
    for part in (b"ab", b"c"):
        answer.response.write(part)
    answer.response.close()
    first, *others = answer.sent
    assert first.endswith(b"\r\n\r\n2\r\nab\r\n")
    assert others == [b"1\r\nc\r\n", b"0\r\n\r\n"]


def test_an_answer_without_a_body_is_its_headers() -> None:
    for answer in (Answered(LENGTH), Answered(LENGTH, method="HEAD")):
        answer.response.close()
        (packet,) = answer.sent
        assert packet.endswith(b"\r\n\r\n")


def test_where_the_client_is_gone_the_failure_is_told() -> None:
    answer = Answered(LENGTH)
    answer.peer.sendall.side_effect = BrokenPipeError
    with pytest.raises(BrokenPipeError):
        answer.response.write(b"abc")
    assert answer.response.sock is answer.peer
