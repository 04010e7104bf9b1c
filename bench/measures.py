"""What is measured, and what is promised of it."""

import secrets
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack

from bench import flood, floors, load
from bench.load import CONNECTIONS, Load
from bench.report import Promise, Rates, ratio
from bench.servers import UNTHROTTLED, USERS, Served, bare, keyturn, tutorial
from bench.service import resident, service

LEFT_OVER = 1  # seconds in which the logins end that nobody waits for any more

ME, REFRESH, LOGIN = "/users/me", "/auth/refresh", "/auth/login"

# The names of the figures: requests a second, and milliseconds where it says so.
BARE = "bare Flask view"
ME_PAIRS = "/users/me, key pair (ES256)"
ME_HS256 = "/users/me, secret (HS256)"
ME_NEST = "/users/me, tutorial"
TURNS = "/auth/refresh"
TURNS_P99 = "/auth/refresh, p99 (ms)"
TURNS_MEDIAN = "/auth/refresh, median (ms)"
TURNS_NEST = "/auth/refresh, tutorial"
SQLITE = "plain SQLite transaction"
LOGINS = "/auth/login"
ARGON2 = "plain argon2"
JWT = "plain PyJWT, one core"


def rounds(count: int, seconds: int) -> Rates:
    """Measure everything in turns, `count` times, for `seconds` each."""
    figures: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        pairs = stack.enter_context(keyturn())
        secret = stack.enter_context(keyturn(ACCESS_SECRET=secrets.token_urlsafe(48)))
        floor = stack.enter_context(bare())
        nest = stack.enter_context(tutorial())
        for _ in range(count):
            for name, figure in _round(pairs, secret, floor, nest, seconds):
                figures[name].append(figure)
    return figures


def _round(
    pairs: Served, secret: Served, floor: Served, nest: Served, seconds: int
) -> Iterator[tuple[str, float]]:
    yield BARE, _clean(load.get(floor.url + ME, "none", seconds=seconds)).rate
    yield ME_PAIRS, _ask_me(pairs, seconds).rate
    yield ME_HS256, _ask_me(secret, seconds).rate
    yield ME_NEST, _ask_me(nest, seconds).rate
    turns = _refresh(pairs, seconds)
    yield TURNS, turns.rate
    yield TURNS_MEDIAN, turns.median
    yield TURNS_P99, turns.p99
    yield TURNS_NEST, _refresh(nest, seconds).rate
    yield SQLITE, floors.sqlite_rate(seconds / 2)
    yield JWT, floors.jwt_rate(seconds / 2)
    yield ARGON2, floors.argon2_rate(seconds)
    yield LOGINS, _clean(load.login(pairs.url + LOGIN, USERS, seconds=seconds)).rate
    time.sleep(LEFT_OVER)


def _ask_me(server: Served, seconds: int) -> Load:
    token = server.log_in()["accessToken"]
    return _clean(load.get(server.url + ME, token, seconds=seconds))


def _refresh(server: Served, seconds: int) -> Load:
    tokens = [server.log_in()["refreshToken"] for _ in range(CONNECTIONS)]
    return _clean(load.refresh(server.url + REFRESH, tokens, seconds=seconds))


def _clean(measured: Load) -> Load:
    if measured.faults:
        raise RuntimeError(f"not everything was answered: {measured.faults}")
    return measured


def ratios(rates: Rates) -> Iterator[Promise]:
    """Compare what was measured side by side."""
    yield Promise(
        name="/users/me to a bare Flask view", value=ratio(rates, ME_PAIRS, BARE), least=0.6
    )
    yield Promise(
        name="/users/me to the tutorial's", value=ratio(rates, ME_PAIRS, ME_NEST), least=2.5
    )
    yield Promise(
        name="/auth/refresh, on disk, to the tutorial's, in memory",
        value=ratio(rates, TURNS, TURNS_NEST),
        least=1.3,
    )
    yield Promise(
        name="/auth/refresh, p99 to median", value=ratio(rates, TURNS_P99, TURNS_MEDIAN), most=4
    )
    yield Promise(
        name="/auth/login to plain argon2", value=ratio(rates, LOGINS, ARGON2), least=0.95
    )


def in_a_flood() -> Promise:
    """Measure what a flood of logins does to everybody else."""
    return Promise(
        name="/users/me p99, in a flood of logins to calm", value=flood.measure().ratio, most=5
    )


def footprint(requests: int) -> Iterator[Promise]:
    """Measure a fresh server: CPU time to its first answer, memory, and memory after requests."""
    with service(**UNTHROTTLED) as server:
        yield Promise(
            name="CPU time to the first answer",
            value=server.cpu_seconds(),
            most=1.5,
            unit="s",
        )
        url = f"http://127.0.0.1:{server.port}{ME}"
        token = server.login()["accessToken"]
        load.get(url, token, seconds=2)  # every thread has answered once
        idle = resident(server)
        yield Promise(name="memory of an idle worker", value=idle, most=70, unit="MiB")
        _send(url, token, requests)
        name = f"memory of a worker after {requests:,} requests, to before"
        yield Promise(name=name, value=resident(server) / idle, most=1.05)


def _send(url: str, token: str, requests: int) -> None:
    sent = 0.0
    while sent < requests:
        sent += _clean(load.get(url, token, seconds=5)).rate * 5
