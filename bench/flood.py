"""What a flood of logins does to everybody else: `python -m bench.flood`.

Measures GET /users/me, sent at a steady pace, without and with a flood of logins at the same time,
several rounds in turn, and the memory of the workers. The passwords are right, because of wrong
ones the throttle lets only a few be hashed.
"""

import json
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing.synchronize import Event
from statistics import median

from tests.support.api import BOB
from tests.support.server import Server

from bench.service import JSON, Client, percentile, resident, service, show

ROUNDS = 3
SECONDS = 5
PACE = 100  # requests for /users/me a second, over all connections
ASKING = 4  # connections that ask for /users/me
FLOODING = 16  # connections that log in
PROCESSES = 2  # which share them: one would be busy with itself

LOGIN = json.dumps(BOB)


@dataclass(frozen=True)
class Result:
    """Milliseconds of /users/me, MiB of the largest worker, and how the flood was answered."""

    idle_p99: float
    flood_p99: float
    ratio: float
    memory_idle: int
    memory_peak: int
    memory_after: int
    logins: dict[int, int]


def measure() -> Result:
    """Run all rounds and return the medians of their percentiles."""
    with service() as server:
        bearer = {"Authorization": f"Bearer {server.login()['accessToken']}"}
        _ask(server, bearer, seconds=1)  # warm up
        memory_idle = resident(server)
        idle, flooded = [], []
        answers: Counter[int] = Counter()
        for _ in range(ROUNDS):
            idle.append(percentile(_ask(server, bearer), 99))
            with _flood(server.port, answers):
                flooded.append(percentile(_ask(server, bearer), 99))
        return Result(
            idle_p99=median(idle),
            flood_p99=median(flooded),
            ratio=median(flooded) / median(idle),
            memory_idle=memory_idle,
            memory_peak=resident(server, "VmHWM"),
            memory_after=resident(server),
            logins=dict(answers),
        )


def _ask(server: Server, bearer: dict[str, str], seconds: float = SECONDS) -> list[float]:
    """Return the milliseconds that each request took from when it was due."""
    times: list[float] = []
    start = time.perf_counter() + 0.1

    def ask(number: int) -> None:
        client = Client(server.port)
        due = start + number / PACE
        while due < start + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            if client.send("GET", "/users/me", headers=bearer) != HTTPStatus.OK:
                raise RuntimeError("/users/me was refused")
            times.append((time.perf_counter() - due) * 1000)
            due += ASKING / PACE

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(ASKING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


@contextmanager
def _flood(port: int, answers: Counter[int]) -> Iterator[None]:
    """Log in on many connections, as fast as they are answered, while the block runs."""
    context = multiprocessing.get_context("spawn")
    over, counts = context.Event(), context.SimpleQueue()
    processes = [
        context.Process(target=_log_in_until, args=(port, over, counts)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    time.sleep(1)  # until they have begun
    try:
        yield
    finally:
        over.set()
        for _ in processes:
            answers.update(counts.get())
        for process in processes:
            process.join()


def _log_in_until(
    port: int, over: Event, counts: "multiprocessing.SimpleQueue[Counter[int]]"
) -> None:
    answers: Counter[int] = Counter()

    def log_in() -> None:
        client = Client(port)
        while not over.is_set():
            answers[client.send("POST", "/auth/login", LOGIN, JSON)] += 1

    threads = [threading.Thread(target=log_in) for _ in range(FLOODING // PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put(answers)


def main() -> None:
    """Print what was measured."""
    result = measure()
    show(
        [
            {"/users/me": "alone", "p99 ms": f"{result.idle_p99:.1f}", "ratio": 1},
            {
                "/users/me": "in a flood",
                "p99 ms": f"{result.flood_p99:.1f}",
                "ratio": f"{result.ratio:.1f}",
            },
        ]
    )
    show(
        [
            {
                "worker's memory, MiB": "",
                "before": result.memory_idle,
                "at its peak": result.memory_peak,
                "after": result.memory_after,
            }
        ]
    )
    show([{"answers to the flood": status, "": count} for status, count in result.logins.items()])


if __name__ == "__main__":
    main()
