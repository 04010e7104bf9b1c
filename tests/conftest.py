"""Fixtures all tests share: an app on a migrated SQLite file of its own, and real servers."""

import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import flask_migrate
import pytest
import time_machine
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from keyturn.commands import create_app
from keyturn.config import Settings
from keyturn.database import db
from keyturn.services import EXTENSION
from tests.support import postgres
from tests.support.api import Api
from tests.support.clock import standing_clock
from tests.support.console import Run
from tests.support.databases import Databases, PostgresDatabases, SqliteDatabases
from tests.support.server import ROOT, Server
from tests.support.services import make_service_token

SECRETS = {
    "REFRESH_SECRET": "Zx8cVb3nMq1wErTyUiOpAsDf5gHjKl7G",
    "KEY_ENCRYPTION_SECRET": "pW4eRt6YuI9oLk3JhGf2DsAzXcVb8Nm1",
}
HS256 = {"ACCESS_SECRET": "kT7vQx2LrN9sYbE4wZjH6mUcFpGaDtRo"}  # besides, and instead of key pairs

POSTGRES_URL = "KEYTURN_TEST_POSTGRES_URL"  # of the server that the first process started


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite")


def pytest_configure(config: pytest.Config) -> None:
    """Start the one PostgreSQL that all test processes share."""
    if config.getoption("database") == "sqlite" or hasattr(config, "workerinput"):
        return
    bin_folder = postgres.programs()
    if bin_folder is None:
        raise pytest.UsageError(
            "--database postgresql needs PostgreSQL: apt-get install postgresql"
        )
    server = postgres.Postgres(bin_folder)
    server.start()
    os.environ[POSTGRES_URL] = server.url()
    config.add_cleanup(server.remove)


def dispose(app: Flask) -> None:
    """Close the app's pooled connections."""
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> None:
    """No test depends on the settings of whoever runs it, nor on where."""
    for setting in fields(Settings):
        os.environ.pop(setting.name.upper(), None)
    os.environ["KEYTURN_ENV"] = "development"
    os.chdir(ROOT)


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
    _clean_environment: None,
) -> Databases:
    """A migrated database with the demo users and a key pair, to be copied."""
    databases: Databases
    if request.config.getoption("database") == "postgresql":
        databases = PostgresDatabases(os.environ[POSTGRES_URL], worker_id)
    else:
        databases = SqliteDatabases(tmp_path_factory.mktemp("databases"))
    fill_template(databases)
    return databases


def fill_template(databases: Databases) -> None:
    """Migrate the database that others are copies of; make the demo users and a key pair there."""
    app = create_app({**SECRETS, "DATABASE_URL": databases.template_url})
    with app.app_context():
        flask_migrate.upgrade()
        app.extensions[EXTENSION].current_signer()  # makes the first key pair
    app.test_cli_runner().invoke(args=["users", "seed"], catch_exceptions=False)
    dispose(app)


@pytest.fixture
def settings(databases: Databases) -> Iterator[dict[str, str]]:
    """The settings of this test's app: change them before asking for `app`."""
    yield {**SECRETS, "KEYTURN_ENV": "development", "DATABASE_URL": databases.copy()}
    databases.drop()


@pytest.fixture
def _only_sqlite(request: pytest.FixtureRequest) -> None:
    """For what only SQLite has, or can be brought to do."""
    if request.config.getoption("database") != "sqlite":
        pytest.skip("about SQLite")


@pytest.fixture
def _only_postgresql(request: pytest.FixtureRequest) -> None:
    """For what only PostgreSQL has, or can be brought to do."""
    if request.config.getoption("database") != "postgresql":
        pytest.skip("about PostgreSQL")


@pytest.fixture
def app(settings: dict[str, str]) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    dispose(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def api(client: FlaskClient) -> Api:
    return Api(client)


@pytest.fixture
def service_token(app: Flask) -> str:
    """The token of a service named orders."""
    return make_service_token(app)


@pytest.fixture
def run(app: Flask) -> Run:
    """Runs a flask command."""
    runner = app.test_cli_runner()

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return runner.invoke(args=list(arguments), input=stdin)

    return run


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until the test shifts it."""
    with standing_clock() as traveller:
        yield traveller


@pytest.fixture
def serve(settings: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """Start real gunicorns on this test's database; they are stopped with the test."""
    servers: list[Server] = []

    def start(app: str = "wsgi:app", healthy: str = "/readyz", **more: Any) -> Server:
        server = Server({**settings, **{name: str(value) for name, value in more.items()}}, app)
        servers.append(server)
        server.start(healthy)
        return server

    yield start
    for server in servers:
        server.close()
