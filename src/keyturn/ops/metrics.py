"""The metrics, for Prometheus: counted in every worker, summed when they are asked for.

Each worker counts in files of its own (prometheus_client's multiprocess mode); gunicorn.conf.py
makes their folder and removes it. They are served at a port of their own, never the public one.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from time import monotonic
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import NotFound

from keyturn import clock
from keyturn.auth import sessions
from keyturn.auth.judgement import Verdict
from keyturn.database import db
from keyturn.errors import InvalidCredentialsError, TooManyAttemptsError
from keyturn.notes import OK, Notes
from keyturn.services import services

PATH = "/metrics"

# /users/me takes a fraction of a millisecond, a login some 20, one in a queue a second.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_COUNT_LIVE_EVERY = 60  # seconds; a million logins are counted in a tenth of a second

_REQUESTS = Histogram(
    "keyturn_request_duration_seconds",
    "Requests, and the seconds until their answers were ready.",
    ["route", "method", "status"],
    buckets=_BUCKETS,
)
# The counters of events, by the event's name. The results an alert may wait for begin at zero,
# because Prometheus sees no increase in the first sample of a series.
_EVENTS = {
    "login": Counter("keyturn_logins", "Attempts to log in, by result.", ["result"]),
    "refresh": Counter("keyturn_refreshes", "Refreshes, by result.", ["result"]),
}
_RESULTS = {
    "login": (OK, InvalidCredentialsError.code, TooManyAttemptsError.code),
    "refresh": [verdict.value for verdict in Verdict],
}
for _event, _counter in _EVENTS.items():
    for _result in _RESULTS[_event]:
        _counter.labels(_result)

_RUNNING = Gauge(
    "keyturn_hashes_running", "Passwords that are being hashed.", multiprocess_mode="livesum"
)
_QUEUED = Gauge(
    "keyturn_hashes_queued", "Passwords that wait to be hashed.", multiprocess_mode="livesum"
)
_REFUSED = Counter("keyturn_hashes_refused", "Requests sent away because too many hash or wait.")


def observe(route: str | None, method: str, status: int, seconds: float, known: Notes) -> None:
    """Count a request, and the event it was, if it was one."""
    method = method if method in _METHODS else "other"
    _requests(route or "unmatched", method, status).observe(seconds)
    counter = _EVENTS.get(known.get("event", ""))
    if counter is not None:
        counter.labels(known["result"]).inc()


def observe_hashing(*, running: int, queued: int, refused: int) -> None:
    """Count by how much a worker's hashing has changed."""
    _RUNNING.inc(running)
    _QUEUED.inc(queued)
    _REFUSED.inc(refused)


@cache
def _requests(route: str, method: str, status: int) -> Histogram:
    return _REQUESTS.labels(route, method, status)


def serve_at(app: Flask, port: int) -> None:
    """Answer requests that come in at this port, by gunicorn's word, with the metrics."""
    serve, database = app.wsgi_app, _Database(app)

    def by_port(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["SERVER_PORT"] != str(port):
            return serve(environ, start_response)
        if environ["PATH_INFO"] != PATH:
            return NotFound()(environ, start_response)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # prometheus_client's
        registry.register(database)
        return make_wsgi_app(registry)(environ, start_response)  # type: ignore[no-any-return]

    app.wsgi_app = by_port  # type: ignore[method-assign]


class _Database(Collector):
    """What is asked of the database, at a cost that does not grow with how often it is asked."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._live = 0
        self._count_at = 0.0

    def collect(self) -> Iterator[Metric]:
        """Ask; where the database does not answer, that is all there is to tell."""
        with self._app.app_context():
            try:
                found = [self._live_logins(), self._purge_lag()]
            except SQLAlchemyError:
                found = []
        up = "Whether the database answers."
        yield GaugeMetricFamily("keyturn_database_up", up, value=bool(found))
        yield from found

    def _live_logins(self) -> Metric:
        if monotonic() >= self._count_at:
            self._live = sessions.count_live(db.session(), clock.now())
            self._count_at = monotonic() + _COUNT_LIVE_EVERY
        explanation = f"Logins that live, counted every {_COUNT_LIVE_EVERY} seconds at most."
        return GaugeMetricFamily("keyturn_live_logins", explanation, value=self._live)

    def _purge_lag(self) -> Metric:
        lag = sessions.purge_lag(db.session(), before=clock.now() - services().retention)
        return GaugeMetricFamily(
            "keyturn_purge_lag_seconds",
            "How long ago the oldest login that is still there should have been purged.",
            value=lag.total_seconds(),
        )
