"""Fixtures all tests share: an app on a migrated SQLite file of its own, and real servers."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from keyturn.app import create_app
from keyturn.config import Settings
from keyturn.database import db
from tests.support.api import Api
from tests.support.server import ROOT, Server

SECRETS = {
    "ACCESS_SECRET": "kT7vQx2LrN9sYbE4wZjH6mUcFpGaDtRo",
    "REFRESH_SECRET": "Zx8cVb3nMq1wErTyUiOpAsDf5gHjKl7G",
}


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
def template(tmp_path_factory: pytest.TempPathFactory, _clean_environment: None) -> Path:
    """A migrated database with the demo users, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    app = create_app({**SECRETS, "DATABASE_URL": f"sqlite:///{path}"})
    with app.app_context():
        flask_migrate.upgrade()
    app.test_cli_runner().invoke(args=["users", "seed"], catch_exceptions=False)
    dispose(app)
    return path


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> dict[str, str]:
    """The settings of this test's app: change them before asking for `app`."""
    path = tmp_path / "keyturn.db"
    shutil.copy(template, path)
    return {**SECRETS, "KEYTURN_ENV": "development", "DATABASE_URL": f"sqlite:///{path}"}


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
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until the test shifts it."""
    with time_machine.travel("2026-11-24T12:00:00Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def serve(settings: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """Start real gunicorns on this test's database; they are stopped with the test."""
    servers: list[Server] = []

    def start(app: str = "wsgi:app", **more: Any) -> Server:
        server = Server({**settings, **{name: str(value) for name, value in more.items()}}, app)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.close()
