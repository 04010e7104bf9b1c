"""`flask doctor`: looks at this installation and says how to mend what is wrong."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from keyturn import clock
from keyturn.auth import sessions
from keyturn.console import BROKEN, command, json_option, show
from keyturn.database import db
from keyturn.ops import checks
from keyturn.ops.checks import Finding
from keyturn.ops.health import outdated_revisions
from keyturn.passwords import Passwords
from keyturn.services import Services, services
from keyturn.tokens import key_rotation
from keyturn.tokens.lifecycle import State
from keyturn.users.models import User
from keyturn.users.seeds import DEMO_USERS

_POSTGRESQL = (
    "lock_timeout",
    "statement_timeout",
    "synchronous_commit",
    "default_transaction_isolation",
)


@click.command("doctor")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="As Keyturn gets it through your proxies, of a client that sends none of its own.",
)
@json_option
@command
def doctor(headers: tuple[str, ...], *, as_json: bool) -> None:
    r"""Look for what goes wrong in practice, and say how to mend it. Exit code 1 if there is any.

    A secret that is missing, short, an example, no random text or used twice is told before all
    else, as by every command.

    \b
    flask doctor
    flask doctor --header 'X-Forwarded-For: 203.0.113.7' --json
    """
    findings = list(examine(services(), headers))
    show(
        [
            {"ok": one.ok, "check": one.check, "found": one.found, "mend": one.mend}
            for one in findings
        ],
        as_json=as_json,
    )
    if not all(one.ok for one in findings):
        raise click.exceptions.Exit(BROKEN)


def examine(known: Services, headers: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Yield what each check finds; where the tables are not there, those of them are left out."""
    settings = known.settings
    yield checks.env_file(Path(".env"))
    yield checks.cookies(settings.issuer, production=settings.is_production)
    yield checks.argon2(_milliseconds(known.passwords))
    yield checks.proxies(_parsed(headers) if headers else None, settings.trusted_proxies)
    session = db.session()
    migrations = checks.migrations(_revisions(session), outdated_revisions())
    yield migrations
    if migrations.ok:
        yield from _of_tables(known, session, clock.now())


def _of_tables(known: Services, session: Session, now: datetime) -> Iterator[Finding]:
    yield _database(session)
    yield checks.clocks(now, _database_time(session, now))
    yield _signing_key(known, session, now)
    yield checks.purge_lag(sessions.purge_lag(session, before=now - known.retention))
    yield checks.demo_users(_demo_users(session, known), production=known.settings.is_production)


def _parsed(headers: tuple[str, ...]) -> dict[str, str]:
    pairs = (header.partition(":") for header in headers)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _milliseconds(passwords: Passwords) -> float:
    began = time.perf_counter()
    passwords.hash("how long does it take")
    return (time.perf_counter() - began) * 1000


def _revisions(session: Session) -> list[str]:
    try:
        return list(session.scalars(text("SELECT version_num FROM alembic_version")))
    except SQLAlchemyError:
        session.rollback()
        return []


def _database(session: Session) -> Finding:
    if session.get_bind().dialect.name == "postgresql":
        return checks.postgresql_database(
            {name: str(session.scalar(text(f"SHOW {name}"))) for name in _POSTGRESQL}
        )
    journal, timeout = (
        session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "busy_timeout")
    )
    return checks.sqlite_database(str(journal), int(timeout or 0))


def _database_time(session: Session, now: datetime) -> datetime:
    if session.get_bind().dialect.name == "sqlite":  # runs in this process, by the same clock
        return now
    told: datetime = session.scalars(select(func.clock_timestamp())).one()
    return told.astimezone(UTC)


def _signing_key(known: Services, session: Session, now: datetime) -> Finding:
    if known.key_maker is None:
        return checks.signing_key(None, None, None)
    schedule = known.key_maker.schedule
    fault = known.current_signer().fault
    lives = key_rotation.list_all(session, schedule, now)
    ages = [now - life.key.signing_at for life in lives if life.state is State.SIGNING]
    slack = schedule.notice + timedelta(days=1)  # the next one waits for its first request
    oldest = schedule.rotation + slack if schedule.rotation else None
    return checks.signing_key(fault, ages[0] if ages else timedelta(), oldest)


def _demo_users(session: Session, known: Services) -> list[str]:
    passwords = {user["email"]: user["password"] for user in DEMO_USERS}
    found = session.scalars(
        select(User).where(User.email.in_(passwords), User.disabled_at.is_(None))
    )
    return [
        user.email
        for user in found
        if known.passwords.verify(passwords[user.email], user.password_hash).right
    ]
