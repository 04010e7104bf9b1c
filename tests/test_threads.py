"""Which thread serves the next request, and what becomes of the jobs as they end."""

import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from keyturn.ops.threads import Threads

DEADLINE = 10  # seconds; a bound, not an expectation


@pytest.fixture
def threads() -> Iterator[Threads]:
    it = Threads(3)
    yield it
    it.shutdown()


class Gate:
    """A job that takes until it is let through, and returns which thread did it."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Event(), threading.Event()

    def __call__(self) -> int:
        self.entered.set()
        assert self._open.wait(DEADLINE)
        return threading.get_ident()

    def let_through(self, job: "Future[int]") -> int:
        self._open.set()
        return job.result(DEADLINE)


def until_idle(threads: Threads, count: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while len(threads._idle) != count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def three(threads: Threads) -> list[tuple[Gate, "Future[int]"]]:
    begun = []
    for _ in range(3):
        gate = Gate()
        begun.append((gate, threads.submit(gate)))
        assert gate.entered.wait(DEADLINE)
    return begun


def test_who_was_busy_last_has_the_next_job(threads: Threads) -> None:
    begun = three(threads)
    done = []
    for at in (1, 0, 2):
        gate, job = begun[at]
        done.append(gate.let_through(job))
        until_idle(threads, len(done))
    assert len(set(done)) == 3
    assert [gate.let_through(job) for gate, job in three(threads)] == done[::-1]


def test_jobs_that_find_all_busy_wait_in_line(threads: Threads) -> None:
    (gate, job), *others = three(threads)
    done: list[int] = []
    late = [threads.submit(done.append, number) for number in range(5)]
    assert not wait(late, timeout=0).done
    gate.let_through(job)
    wait(late, DEADLINE)
    assert done == [0, 1, 2, 3, 4]
    assert not wait([job for _, job in others], timeout=0).done
    for gate, job in others:
        gate.let_through(job)


def test_what_a_job_raises_is_its_futures_and_the_thread_goes_on(threads: Threads) -> None:
    with pytest.raises(SystemExit):
        threads.submit(sys.exit).result(DEADLINE)
    assert threads.submit(int, "7").result(DEADLINE) == 7


def test_after_the_end_no_job_is_taken_and_those_in_line_are_done() -> None:
    threads, gate = Threads(1), Gate()
    job, late = threads.submit(gate), threads.submit(int, "7")
    threads.shutdown(wait=False)
    with pytest.raises(RuntimeError):
        threads.submit(int)
    gate.let_through(job)
    threads.shutdown()
    assert late.result(0) == 7


def test_those_in_line_can_be_given_up() -> None:
    threads, gate = Threads(1), Gate()
    job, late, later = threads.submit(gate), threads.submit(int), threads.submit(int)
    assert late.cancel()
    threads.shutdown(wait=False, cancel_futures=True)
    assert later.cancelled()
    gate.let_through(job)
    threads.shutdown()
    assert late.cancelled()


def test_idle_threads_end(threads: Threads) -> None:
    before = threading.active_count()
    threads.submit(int).result(DEADLINE)
    until_idle(threads, 1)
    assert threading.active_count() == before + 1
    threads.shutdown()
    assert threading.active_count() == before


def test_nothing_of_a_job_is_kept_by_the_thread_that_did_it(threads: Threads) -> None:
    class Job:
        def __call__(self) -> None:
            pass

    job = Job()
    gone = weakref.ref(job)
    threads.submit(job).result(DEADLINE)
    del job
    until_idle(threads, 1)
    assert gone() is None


def test_the_end_may_come_in_the_middle_of_a_submission(threads: Threads) -> None:
    """gunicorn ends its threads in a signal handler, which runs wherever the main thread is."""
    with threads._lock:
        threads.shutdown(wait=False)
