"""Rotation while others work: processes decide on one key between them, and nobody is refused."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Condition, Event
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from keyturn.commands import create_app
from tests.conftest import SECRETS, dispose
from tests.support.api import Api
from tests.support.databases import Databases
from tests.support.keys import forget_keys, jwks, kid_of, verified_by_another
from tests.support.server import ROOT

# --- one key between all --------------------------------------------------------------------------

DATABASES = 5


def ask(url: str, statement: str) -> Any:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def test_hosts_that_start_or_rotate_at_one_moment_make_one_key_between_them(
    databases: Databases, settings: dict[str, str]
) -> None:
    urls = [databases.copy() for _ in range(DATABASES)]
    for url in urls:
        ask(url, "DELETE FROM signing_keys")
    subprocess.run(
        [sys.executable, "-m", "tests.support.racing", *urls],
        cwd=ROOT,
        env={**os.environ, **SECRETS, "PYTHON_DOTENV_DISABLED": "1"},
        check=True,
    )
    # One made at the start and one when that was overdue, which it was in any case.
    assert [ask(url, "SELECT count(*) FROM signing_keys") for url in urls] == [2] * DATABASES


# --- nobody is refused ----------------------------------------------------------------------------

CLIENTS = 3
STEP = timedelta(seconds=7)
STEPS = 60
ROTATIONS = {2, 21}  # steps: as the first new key begins to sign, the second is published


class CachingVerifier:
    """A service that keeps the JWKS for as long as it may, and asks for no key in between.

    Its first copy came with an age, by way of a cache, so that not all renew theirs at once.
    """

    def __init__(self, source: Api, age: timedelta) -> None:
        self._fetch(source, age)

    def _fetch(self, source: Api, age: timedelta) -> None:
        self._jwks = jwks(source)
        max_age = source.get("/.well-known/jwks.json", None).cache_control.max_age
        self._kept_until = datetime.now(UTC) + timedelta(seconds=max_age or 0) - age

    def verify(self, token: str, source: Api) -> None:
        if datetime.now(UTC) >= self._kept_until:
            self._fetch(source, timedelta(0))
        verified_by_another(token, self._jwks, "ES256")


class Client:
    """Refreshes without end, at one host, and shows each token, new and old, to all others."""

    def __init__(self, hosts: list[Api], number: int) -> None:
        self.hosts = hosts
        self.verifier = CachingVerifier(hosts[0], number * timedelta(seconds=17))
        self.refresh_token = hosts[0].tokens()["refreshToken"]
        self.held: deque[tuple[datetime, str]] = deque()
        self.kids: set[str] = set()
        self.refusals: list[str] = []
        self.checks = 0
        self.rounds = 0

    def work(self) -> None:
        self.hosts.append(self.hosts.pop(0))
        answer = self.hosts[0].refresh(self.refresh_token)
        if answer.status_code != 200:
            self.refusals.append(answer.text)
            return
        self.refresh_token = answer.get_json()["refreshToken"]
        token = answer.get_json()["accessToken"]
        self.kids.add(kid_of(token))
        self.show(token)
        self.show(self.oldest(token))

    def oldest(self, newest: str) -> str:
        """The oldest token that is in date for some steps more."""
        now = datetime.now(UTC)
        self.held.append((now + timedelta(seconds=60) - 2 * STEP, newest))
        while self.held[0][0] < now:
            self.held.popleft()
        return self.held[0][1]

    def show(self, token: str) -> None:
        self.checks += 2
        try:
            self.verifier.verify(token, self.hosts[0])
        except Exception as error:  # noqa: BLE001 - whatever it is, the token was refused
            self.refusals.append(repr(error))
        answer = self.hosts[-1].me(token)
        if answer.status_code != 200:
            self.refusals.append(answer.text)


@pytest.fixture
def hosts(settings: dict[str, str], clock: time_machine.Traveller) -> Iterator[list[Flask]]:
    """Two hosts of one service, and a clock that the test moves."""
    short = {"JWKS_MAX_AGE": "60", "ACCESS_TTL": "60", "LEEWAY": "5"}
    apps = [create_app({**settings, **short}) for _ in range(2)]
    forget_keys(apps[0])
    yield apps
    for app in apps:
        dispose(app)


def test_two_rotations_under_load_refuse_no_token(
    hosts: list[Flask], clock: time_machine.Traveller
) -> None:
    clients = [
        Client([Api(app.test_client()) for app in hosts], number) for number in range(CLIENTS)
    ]
    runner = hosts[0].test_cli_runner()
    worked, stop = Condition(), Event()

    def keep_working(client: Client) -> None:
        while not stop.is_set():
            client.work()
            with worked:
                client.rounds += 1
                worked.notify()

    with ThreadPoolExecutor(CLIENTS) as pool:
        busy = [pool.submit(keep_working, client) for client in clients]
        for step in range(STEPS):
            if step in ROTATIONS:
                assert runner.invoke(args=["keys", "rotate"]).exit_code == 0
            goals = [client.rounds + 1 for client in clients]
            with worked:
                assert worked.wait_for(
                    lambda goals=goals: all(  # type: ignore[misc] # bound as it is now
                        client.rounds >= goal for client, goal in zip(clients, goals, strict=True)
                    ),
                    timeout=60,
                )
            clock.shift(STEP)
        stop.set()
    for one in busy:
        one.result()
    assert [refusal for client in clients for refusal in client.refusals] == []
    assert all(len(client.kids) == 3 for client in clients)
    assert sum(client.checks for client in clients) >= 4 * STEPS * CLIENTS
