"""`flask doctor`: each check, well and ill."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text

from keyturn.commands import create_app
from keyturn.ops import checks
from keyturn.ops.checks import Finding
from tests.conftest import dispose
from tests.support.api import Api
from tests.support.console import Run
from tests.support.database import execute
from tests.support.server import ROOT

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
POSTGRESQL = {
    "lock_timeout": "5s",
    "statement_timeout": "10s",
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
}


@pytest.mark.parametrize(
    "finding",
    [
        checks.migrations(["0005"], {"0004"}),
        checks.migrations(["9999"], {"0004"}),
        checks.sqlite_database("wal", 5000),
        checks.postgresql_database(POSTGRESQL),
        checks.proxies({}, 0),
        checks.proxies(None, 1),
        checks.proxies({"x-forwarded-for": "203.0.113.7, 10.0.0.1"}, 2),
        checks.cookies("https://auth.example.com", production=True),
        checks.cookies("http://127.0.0.1:8000", production=False),
        checks.argon2(60),
        checks.signing_key(None, None, None),
        checks.signing_key(None, 90 * DAY, 91 * DAY),
        checks.signing_key(None, 900 * DAY, None),
        checks.clocks(NOW, NOW + timedelta(seconds=1)),
        checks.purge_lag(timedelta(hours=1)),
        checks.demo_users([], production=True),
        checks.demo_users(["bob@gmail.com"], production=False),
    ],
)
def test_what_is_well(finding: Finding) -> None:
    assert finding.ok
    assert finding.mend == ""


@pytest.mark.parametrize(
    ("finding", "mend"),
    [
        (checks.migrations([], {"0004"}), "flask db upgrade"),
        (checks.migrations(["0004"], {"0004"}), "flask db upgrade"),
        (checks.sqlite_database("delete", 5000), "local disk"),
        (checks.sqlite_database("wal", 0), "SQLITE_BUSY_TIMEOUT"),
        (checks.postgresql_database({**POSTGRESQL, "synchronous_commit": "off"}), "synchronous"),
        (checks.postgresql_database({**POSTGRESQL, "lock_timeout": "0"}), "lock_timeout"),
        (
            checks.postgresql_database(
                {**POSTGRESQL, "default_transaction_isolation": "serializable"}
            ),
            "read committed",
        ),
        (checks.proxies({"x-forwarded-for": "203.0.113.7"}, 0), "TRUSTED_PROXIES=1"),
        (checks.proxies({}, 1), "TRUSTED_PROXIES=0"),
        (checks.cookies("http://auth.example.com", production=False), "https"),
        (checks.cookies("http://127.0.0.1:8000", production=True), "https"),
        (checks.argon2(1500), "CPU"),
        (checks.signing_key("cannot be used", DAY, None), "KEY_ENCRYPTION_SECRET"),
        (checks.signing_key(None, 92 * DAY, 91 * DAY), "flask keys rotate"),
        (checks.clocks(NOW, NOW - timedelta(seconds=3)), "NTP"),
        (checks.purge_lag(2 * DAY), "flask sessions purge"),
        (checks.demo_users(["bob@gmail.com"], production=True), "flask users delete"),
    ],
)
def test_what_is_ill_is_said_with_how_to_mend_it(finding: Finding, mend: str) -> None:
    assert not finding.ok
    assert mend in finding.mend


@pytest.mark.parametrize(("mode", "ok"), [(0o600, True), (0o640, False), (0o604, False)])
def test_a_file_of_secrets_is_its_owners_alone(tmp_path: Path, mode: int, *, ok: bool) -> None:
    path = tmp_path / ".env"
    assert checks.env_file(path).ok
    path.touch()
    path.chmod(mode)
    assert checks.env_file(path).ok is ok


def test_the_doctor_finds_a_new_installation_well(run: Run, settings: dict[str, str]) -> None:
    # The PostgreSQL of the tests is quick instead of durable, which the doctor is right to mind.
    ill = ["database"] if settings["DATABASE_URL"].startswith("postgresql") else []
    result = run("doctor", "--json")
    findings = json.loads(result.stdout)
    assert result.exit_code == len(ill)
    assert {one["check"] for one in findings} == {
        "env_file",
        "cookies",
        "argon2",
        "proxies",
        "migrations",
        "database",
        "clocks",
        "signing_key",
        "purge_lag",
        "demo_users",
    }
    assert [one["check"] for one in findings if not one["ok"]] == ill


def test_a_weak_secret_is_told_before_all_else(settings: dict[str, str]) -> None:
    doctor = subprocess.run(
        [str(Path(sys.executable).with_name("flask")), "doctor"],
        cwd=ROOT,
        env={**os.environ, **settings, "REFRESH_SECRET": "ab" * 32, "PYTHON_DOTENV_DISABLED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert doctor.returncode == 1
    assert "REFRESH_SECRET is a pattern, not random" in doctor.stderr
    assert "Traceback" not in doctor.stderr


def test_the_doctor_fails_where_something_is_ill(
    settings: dict[str, str], api: Api, clock: time_machine.Traveller
) -> None:
    api.tokens()
    clock.shift(timedelta(days=60))
    app = create_app({**settings, "KEYTURN_ENV": "production"})
    header = ["--header", "X-Forwarded-For: 203.0.113.7"]
    result = app.test_cli_runner().invoke(args=["doctor", *header])
    dispose(app)
    assert result.exit_code == 1
    for told in ("TRUSTED_PROXIES=1", "ISSUER", "flask users delete", "flask sessions purge"):
        assert told in result.output


def test_the_doctor_asks_no_table_that_is_not_there(app: Flask, run: Run) -> None:
    execute(app, text("DROP TABLE alembic_version"))
    result = run("doctor")
    assert result.exit_code == 1
    assert "flask db upgrade" in result.output
    assert "signing_key" not in result.output
