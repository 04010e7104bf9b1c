"""The threads that serve requests."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import RLock, Thread
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Threads(Executor):
    """Up to `most` threads, of which the one that was busy last has the next job.

    Those of `ThreadPoolExecutor` take turns, so that each finds a core that has forgotten what it
    works with: of sixteen, `/users/me` took up to an eighth longer than of four.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = RLock()  # a signal may end it all while the main thread submits
        self._threads: list[Thread] = []
        self._idle: list[SimpleQueue[_Job | None]] = []  # where each waits, who came last is last
        self._backlog: deque[_Job] = deque()
        self._is_closed = False

    def submit(self, fn: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> "Future[_R]":
        """Let a thread call a function. Raises `RuntimeError` after `shutdown`."""
        future: Future[_R] = Future()
        job = _Job(future, partial(fn, *args, **kwargs))
        with self._lock:
            if self._is_closed:
                raise RuntimeError("these threads take no more jobs")
            if self._idle:
                self._idle.pop().put(job)
            elif len(self._threads) < self._most:
                inbox: SimpleQueue[_Job | None] = SimpleQueue()
                inbox.put(job)
                thread = Thread(target=self._work, args=(inbox,), name="request")
                self._threads.append(thread)
                thread.start()
            else:
                self._backlog.append(job)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - Executor's signature
        """Take no more jobs; the threads end when there are none left."""
        with self._lock:
            self._is_closed = True
            while cancel_futures and self._backlog:
                self._backlog.pop().future.cancel()
            while self._idle:
                self._idle.pop().put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self, inbox: "SimpleQueue[_Job | None]") -> None:
        job = inbox.get()
        while job is not None:
            job.do()
            job = None  # nothing of it is kept while this thread waits
            job = self._next(inbox)

    def _next(self, inbox: "SimpleQueue[_Job | None]") -> "_Job | None":
        with self._lock:
            if self._backlog:
                return self._backlog.popleft()
            if self._is_closed:
                return None
            self._idle.append(inbox)
        return inbox.get()


class _Job:
    def __init__(self, future: "Future[Any]", call: Callable[[], Any]) -> None:
        self.future = future
        self._call = call

    def do(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._call()
        except BaseException as error:  # noqa: BLE001 - whose who waits for the result
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
