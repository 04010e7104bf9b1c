"""Whom hostile tokens are sent to, and a web server of the test's own."""

from collections.abc import Iterator

import pytest

from keyturn.app import create_app
from tests.conftest import SECRETS, dispose
from tests.support.databases import Databases
from tests.support.targets import Target, keyturn_target, service_target
from tests.support.web import WebServer


@pytest.fixture(scope="module", params=["keyturn", "HS256", "ES256", "EdDSA", "RS256"])
def target(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Target]:
    """Each of those who must refuse: Keyturn, and a service for each kind of key."""
    if request.param != "keyturn":
        yield service_target(request.param)
        return
    app = create_app({**SECRETS, "DATABASE_URL": databases.lasting_copy()})
    yield keyturn_target(app)
    dispose(app)


class Uptime:
    """What `time.monotonic` is to a service, moved by the test alone. In seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def uptime() -> Uptime:
    return Uptime()


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A server of the test's own."""
    server = WebServer()
    yield server
    server.close()
