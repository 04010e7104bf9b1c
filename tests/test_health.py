"""Health: alive without asking anybody, ready only with a database that has all migrations."""

from pathlib import Path

from alembic.script import ScriptDirectory
from flask import Flask, current_app
from sqlalchemy import text

from keyturn.app import create_app
from keyturn.ops.health import outdated_revisions
from tests.conftest import SECRETS, dispose
from tests.support.api import Api, assert_problem
from tests.support.database import execute, statements


def test_alive_asks_nobody(api: Api, app: Flask) -> None:
    with statements(app) as sent:
        assert api.get("/livez", None).get_json() == {"status": "ok"}
    assert sent == []


def test_ready_with_all_migrations(api: Api) -> None:
    assert api.get("/readyz", None).get_json() == {"status": "ok"}


def test_not_ready_without_migrations(tmp_path: Path) -> None:
    app = create_app({**SECRETS, "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}"})
    answer = Api(app.test_client()).get("/readyz", None)
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    dispose(app)


def test_not_ready_on_an_older_schema(api: Api, app: Flask) -> None:
    execute(app, text("UPDATE alembic_version SET version_num = '0001'"))
    assert_problem(api.get("/readyz", None), 503, "unavailable")
    assert api.get("/livez", None).status_code == 200


def test_ready_on_a_newer_schema_for_as_long_as_the_old_release_serves(
    api: Api, app: Flask
) -> None:
    execute(app, text("UPDATE alembic_version SET version_num = '9999'"))
    assert api.get("/readyz", None).status_code == 200


def test_the_files_of_migrations_are_named_in_their_order(app: Flask) -> None:
    with app.app_context():
        scripts = ScriptDirectory(current_app.extensions["migrate"].directory)
    known = {script.revision for script in scripts.walk_revisions()}
    assert outdated_revisions() == known.difference(scripts.get_heads())
