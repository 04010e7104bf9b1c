"""Bounds what password hashing may take of a worker: its cores, its memory and its threads."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NoReturn, ParamSpec, TypeVar

from keyturn.errors import BusyError

PATIENCE = 5  # seconds; only old hashes of other systems, which may take a second each, need any
RETRY_AFTER = 1  # seconds; a queue that is full now is empty in less

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class HashingQueue:
    """Computes `parallel` hashes at once, and lets `waiting` requests wait for their turn.

    The hashes are computed in threads of their own, first come first served. Computed in those of
    the requests, they would leave their memory with each: the allocator keeps it by thread.

    `running`, `queued` and `refused` tell how many there are now, are waiting now, and were sent
    away since the process began. `on_change` is told by how much each has changed; `on_wait` is
    called in the thread of each request that is about to wait for its hash.
    """

    def __init__(self, *, parallel: int = 1, waiting: int = 0) -> None:
        self._places = threading.Semaphore(parallel + waiting)
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="hashing")
        self._lock = threading.Lock()
        self.running = self.queued = self.refused = 0
        self.on_change: Callable[..., object] = lambda **_: None
        self.on_wait: Callable[[], object] = lambda: None

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places that requests which hash may fill: other threads stay free.

        Raises `BusyError`, before the request has cost anything, where all are taken.
        """
        if not self._places.acquire(blocking=False):
            self._refuse()
        try:
            yield
        finally:
            self._places.release()

    def run(
        self, function: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs
    ) -> _Result:
        """Return what a function that hashes returns. Raises `BusyError` if its turn is too far."""

        def in_turn() -> _Result:
            self._count(queued=-1, running=1)
            try:
                return function(*args, **kwargs)
            finally:
                self._count(running=-1)

        self._count(queued=1)
        work = self._threads.submit(in_turn)
        self.on_wait()
        try:
            return work.result(PATIENCE)
        except TimeoutError:
            if not work.cancel():  # it has begun
                return work.result()
            self._count(queued=-1)
            self._refuse()

    def _count(self, *, queued: int = 0, running: int = 0, refused: int = 0) -> None:
        with self._lock:
            self.queued += queued
            self.running += running
            self.refused += refused
        self.on_change(running=running, queued=queued, refused=refused)

    def _refuse(self) -> NoReturn:
        self._count(refused=1)
        raise BusyError(retry_after=RETRY_AFTER)
