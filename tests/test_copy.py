"""Moving to another database, in one command: nothing is lost, and nobody is logged out."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from keyturn.commands import create_app
from keyturn.database import Base, db
from keyturn.errors import CopyRefusedError
from keyturn.ops import copying
from keyturn.users.models import User
from tests.conftest import dispose
from tests.support.api import JOHN, Api, assert_problem
from tests.support.database import rows
from tests.support.databases import Databases


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """The URL of an SQLite file that is not there yet, whatever database the tests run on."""
    return f"sqlite:///{tmp_path / 'moved.db'}"


@pytest.fixture
def open_app(settings: dict[str, str]) -> Iterator[Callable[[str], Flask]]:
    apps = []

    def open_app(url: str) -> Flask:
        apps.append(create_app({**settings, "DATABASE_URL": url}))
        return apps[-1]

    yield open_app
    for app in apps:
        dispose(app)


def copy(app: Flask, target: str) -> dict[str, int]:
    """Copy, and return how many rows of each table were."""
    result = app.test_cli_runner().invoke(args=["db", "copy", "--to", target, "--json"])
    assert result.exit_code == 0, result.output
    return {one["table"]: one["rows"] for one in json.loads(result.stdout)}


def test_logins_live_on_there_and_back(
    app: Flask, api: Api, empty: str, databases: Databases, open_app: Callable[[str], Flask]
) -> None:
    spent = api.tokens()["refreshToken"]
    token = api.refresh(spent, "key").get_json()["refreshToken"]
    ended = api.tokens(JOHN)["refreshToken"]
    api.logout(ended)

    assert copy(app, empty)["refresh_tokens"] == 2
    there = open_app(empty)
    assert {one.id for one in rows(there, User)} == {one.id for one in rows(app, User)}
    moved = Api(there.test_client())
    assert moved.refresh(spent, "key").get_json()["refreshToken"] == token
    successor = moved.refresh(token).get_json()["refreshToken"]
    assert_problem(moved.refresh(ended), 401, "refresh_revoked")

    home = databases.create()
    assert copy(there, home)["users"] == 3
    back = Api(open_app(home).test_client())
    assert back.refresh(successor).status_code == 200
    assert back.login().status_code == 200


def test_every_table_is_copied(app: Flask, empty: str) -> None:
    assert copy(app, empty).keys() == Base.metadata.tables.keys()


def test_what_has_rows_is_not_overwritten(app: Flask, databases: Databases) -> None:
    result = app.test_cli_runner().invoke(args=["db", "copy", "--to", databases.copy()])
    assert result.exit_code == 5
    assert "There are rows in audit_events already." in result.output


def test_a_database_is_not_copied_onto_itself(app: Flask, settings: dict[str, str]) -> None:
    url = settings["DATABASE_URL"]
    assert app.test_cli_runner().invoke(args=["db", "copy", "--to", url]).exit_code == 2


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "sqlite:////nowhere/at/all.db"])
def test_a_target_that_cannot_be_used_is_told(app: Flask, url: str) -> None:
    result = app.test_cli_runner().invoke(args=["db", "copy", "--to", url])
    assert result.exit_code == 2
    assert "--to" in result.output


def test_what_arrives_changed_is_not_kept(app: Flask, empty: str) -> None:
    """A trigger stands for whatever may alter a row on its way."""
    target = create_engine(empty)
    Base.metadata.create_all(target)
    with target.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER alter_users AFTER INSERT ON users BEGIN"
                " UPDATE users SET name = 'x' WHERE id = new.id; END"
            )
        )
    with app.app_context(), pytest.raises(CopyRefusedError, match=r"was .* and arrived as"):
        copying.copy(db.engine, target, advance=lambda _: None)
    assert copying.count(target) == 0
    target.dispose()
