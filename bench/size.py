"""What each route costs with many users and logins, against few: `python -m bench.size --help`.

Two databases, one of a thousand users, one of as many as are asked for, with the same number of
logins to a user. An app on each is called without a network. Every request is sent to both before
the next, so that whatever else the machine does meets both alike. Each visitor is another user, and
calls every route.

The hashes of passwords are left out: they cost the same whatever the database holds, and so much
that it could not be seen. Nothing waits for the disk.
"""

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from statistics import quantiles
from typing import Any

import flask_migrate
from flask import Flask, request
from sqlalchemy import create_engine, text
from tests.support import postgres
from tests.support.population import Population
from tests.support.server import ROOT
from tests.support.services import make_service_token
from tests.support.visit import Visit, Visitor

from bench import machine
from bench.service import Row, show
from keyturn.commands import create_app
from keyturn.passwords import Passwords, Verdict
from keyturn.services import EXTENSION

FEW = 1000
LIMIT = 1.3  # times what a route costs with few
WARM_UP = 10  # visitors
OVER = object()

SETTINGS = {
    "KEYTURN_ENV": "development",
    "KEY_ENCRYPTION_SECRET": secrets.token_urlsafe(48),
    "REFRESH_SECRET": secrets.token_urlsafe(48),
    "REGISTRATION": "open",
    "SQLITE_SYNCHRONOUS": "NORMAL",
    "THROTTLE_ADDRESS": "1000000/1",
    "THROTTLE_ALL": "1000000/1",
    "LOG_LEVEL": "error",
}

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class NoHashes(Passwords):
    """Takes every password, at no cost."""

    def hash(self, password: str) -> str:  # noqa: ARG002 - as it is called
        """Return what all users have."""
        return "none"

    def verify(self, password: str, stored: str | None) -> Verdict:  # noqa: ARG002 - as it is called
        """Say that it is right."""
        return Verdict(right=True)


@dataclass
class Stopwatch:
    """The milliseconds that the requests to each route took."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _route: str = ""

    def watch(self, app: Flask) -> None:
        """Time every request to an app, from when it comes in until it is all over."""
        app.before_request(self._note)
        app.wsgi_app = self._timed(app.wsgi_app)  # type: ignore[method-assign,assignment]

    def _note(self) -> None:
        self._route = f"{request.method} {request.url_rule}"

    def _timed(self, serve: Wsgi) -> Wsgi:
        def timed(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            begin = time.perf_counter()
            body = serve(environ, start_response)
            self.times[self._route].append((time.perf_counter() - begin) * 1000)
            return body

        return timed


@dataclass(frozen=True)
class Place:
    """A service, its users, and what they were kept waiting."""

    app: Flask
    population: Population
    service_token: str
    watch: Stopwatch

    @classmethod
    def of(cls, url: str, population: Population) -> "Place":
        """Make a database, fill it and start an app on it."""
        app = create_app({**SETTINGS, "DATABASE_URL": url})
        with app.app_context():
            flask_migrate.upgrade(str(ROOT / "migrations"))
        _fill(url, population)
        app.extensions[EXTENSION] = replace(app.extensions[EXTENSION], passwords=NoHashes())
        place = cls(app, population, make_service_token(app), Stopwatch())
        place.watch.watch(app)
        return place

    def visits(self, count: int) -> Iterator[None]:
        """Let so many users, chosen by chance, call every route; stop after each request."""
        chosen = random.Random(0).sample(range(self.population.users), WARM_UP + count)
        for turn, number in enumerate(chosen):
            if turn == WARM_UP:
                self.watch.times.clear()
            visitor = Visitor(self.population.email(number), "any", f"new{turn}@example.com")
            for answer in Visit(self.app.test_client(), visitor, self.service_token).everywhere():
                if answer.status_code >= HTTPStatus.BAD_REQUEST:
                    raise RuntimeError(f"{answer.request.path}: {answer.status} {answer.text}")
                yield

    def costs(self) -> dict[str, float]:
        """Return the milliseconds of each route: the lower quartile.

        The slower ones tell as much of what else the machine was doing.
        """
        times = sorted(self.watch.times.items())
        return {route: quantiles(taken, n=4)[0] for route, taken in times}


def _fill(url: str, population: Population) -> None:
    began = time.monotonic()
    engine = create_engine(url)  # which waits as long as it takes
    population.settle(engine)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM ANALYZE" if "postgresql" in url else "ANALYZE"))
        version = connection.execute(text(VERSION[engine.dialect.name])).scalar_one()
    engine.dispose()
    seconds = time.monotonic() - began
    print(
        f"{version}: {population.users} users, {population.logins} logins, made in {seconds:.0f} s"
    )


VERSION = {
    "sqlite": "SELECT 'SQLite ' || sqlite_version()",
    "postgresql": "SELECT 'PostgreSQL ' || current_setting('server_version')",
}


@contextmanager
def _urls(database: str) -> Iterator[tuple[str, str]]:
    """Make two databases, which are removed in the end."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as folder:
            yield f"sqlite:///{folder}/few.db", f"sqlite:///{folder}/many.db"
        return
    programs = postgres.programs()
    if programs is None:
        raise SystemExit("needs PostgreSQL: apt-get install postgresql")
    server = postgres.Postgres(programs)
    server.start()
    try:
        engine = create_engine(server.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for name in ("few", "many"):
                connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        yield server.url("few"), server.url("many")
    finally:
        server.remove()


def compare(few: Place, many: Place, rounds: int) -> list[Row]:
    """Let visitors come to both places; return what each route costs at either."""
    order, visits = random.Random(0), [few.visits(rounds), many.visits(rounds)]
    while visits:
        visits = [one for one in order.sample(visits, len(visits)) if next(one, OVER) is None]
    before, after = few.costs(), many.costs()
    return [
        {
            "route": route,
            "few, ms": f"{before[route]:.2f}",
            "many, ms": f"{after[route]:.2f}",
            "ratio": f"{after[route] / before[route]:.2f}",
        }
        for route in before
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.size",
        description=f"Compare what each route costs with {FEW} users and with many. "
        f"Ends with 1 where that is more than {LIMIT} times as much.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--users", type=int, default=1_000_000, help="that are many")
    parser.add_argument("--logins", type=int, default=1_000_000, help="of them all")
    parser.add_argument("--rounds", type=int, default=200, help="visitors that are measured")
    return parser.parse_args()


def main() -> None:
    """Print what was measured."""
    asked = _arguments()
    print(machine.facts())
    many = Population(asked.users, asked.logins, "none")
    few = replace(many, users=FEW, logins=FEW * asked.logins // asked.users)
    with _urls(asked.database) as urls:
        rows = compare(Place.of(urls[0], few), Place.of(urls[1], many), asked.rounds)
    show(rows)
    sys.exit(any(float(row["ratio"]) > LIMIT for row in rows))


if __name__ == "__main__":
    main()
