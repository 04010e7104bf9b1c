"""What the one query of a guarded route costs, way by way: `python -m bench.statements`.

The same rows by the same keys: by plain sqlite3, as the service does it (SQLAlchemy's statement and
types, but not its execution), by SQLAlchemy's Core on a connection that is held and on one
from the pool, and as objects of the ORM. The ways take turns.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from flask import Flask
from sqlalchemy import select
from tests.support.api import Api
from tests.support.database import listening, rows

from bench.service import service_in, show
from keyturn import clock
from keyturn.auth.guard import LIVE_PRINCIPAL
from keyturn.auth.models import RefreshToken
from keyturn.database import db
from keyturn.single import look_up
from keyturn.users.models import User

ROUNDS = 60
REQUESTS = 100  # of each way and round

_OBJECTS = select(User, RefreshToken).join(RefreshToken, RefreshToken.user_id == User.id)


def main() -> None:
    """Compare the ways."""
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as folder:
        app = service_in(Path(folder))
        Api(app.test_client()).tokens()
        with app.app_context():
            ways = _ways(app)
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, ask in ways.items():
                    times[name].append(_microseconds(ask))
            db.engine.dispose()
    base = median(times["sqlite3"])
    show(
        [
            {
                "asked by": name,
                "µs": f"{median(taken):.0f}",
                "of sqlite3": f"{median(taken) / base:.1f}",
            }
            for name, taken in times.items()
        ]
    )


def _ways(app: Flask) -> dict[str, Callable[[], Any]]:
    (login,) = rows(app, RefreshToken)
    keys = {"sid": login.id, "sub": login.user_id, "at": clock.now()}
    sent, parameters = _as_sent(app, keys)
    plain = sqlite3.connect(str(db.engine.url.database))
    held = db.engine.connect()
    of_the_login = _OBJECTS.where(RefreshToken.id == login.id, User.id == login.user_id)

    def objects() -> Any:
        with db.session() as session:
            return session.execute(of_the_login).one_or_none()

    def pooled() -> Any:
        with db.engine.connect() as connection:
            return connection.execute(LIVE_PRINCIPAL, keys).one_or_none()

    return {
        "sqlite3": lambda: plain.execute(sent, parameters).fetchone(),
        "the service": lambda: look_up(LIVE_PRINCIPAL, keys),
        "Core, connection held": lambda: held.execute(LIVE_PRINCIPAL, keys).one_or_none(),
        "Core, from the pool": pooled,
        "ORM": objects,
    }


def _as_sent(app: Flask, keys: dict[str, Any]) -> tuple[str, Any]:
    sent: list[tuple[str, Any]] = []
    with listening(app, lambda *statement: sent.append(statement)):
        look_up(LIVE_PRINCIPAL, keys)
    return sent[0]


def _microseconds(ask: Callable[[], Any]) -> float:
    assert ask() is not None  # noqa: S101 - a measurement of nothing found would be none
    began = time.process_time()
    for _ in range(REQUESTS):
        ask()
    return (time.process_time() - began) / REQUESTS * 1e6


if __name__ == "__main__":
    main()
