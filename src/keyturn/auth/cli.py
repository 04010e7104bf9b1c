"""`flask sessions`: the operator's way to logins."""

import json
import sys
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from keyturn import clock
from keyturn.auth import history, sessions
from keyturn.auth.models import RefreshToken
from keyturn.console import REFUSED, USAGE, CommandError, command, json_option, show
from keyturn.database import db
from keyturn.errors import InvalidRefreshTokenError
from keyturn.services import services
from keyturn.tokens.refresh import PresentedToken
from keyturn.users import accounts
from keyturn.users.models import User

cli = AppGroup("sessions", help="Look at and end logins.")

user_option = click.option("--user", metavar="USER", help="Only those of this e-mail or id.")


@cli.command("list")
@user_option
@json_option
@command
def list_sessions(user: str | None, *, as_json: bool) -> None:
    r"""List live logins, the last used first.

    \b
    flask sessions list
    flask sessions list --user bob@gmail.com --json
    """
    owner = _find(user) if user else None
    live = sessions.list_live(db.session(), owner.id if owner else None, clock.now())
    show([_described(login) for login in live], as_json=as_json)


@cli.command("revoke")
@click.argument("session_id", metavar="[ID]", type=click.UUID, required=False)
@user_option
@command
def revoke(session_id: Any, user: str | None) -> None:
    r"""End one login by its id, or all logins of a user.

    \b
    flask sessions revoke 0d6c0a52-5f0f-4c5f-9d53-2b1a1f0d7c11
    flask sessions revoke --user bob@gmail.com
    """
    if (session_id is None) == (user is None):
        raise CommandError("Give either an ID or --user.", USAGE)
    if user is None:
        sessions.revoke(db.session(), session_id, now=clock.now())
        click.echo("Ended 1 login.")
    else:
        ended = sessions.revoke_all(db.session(), _find(user).id, now=clock.now())
        click.echo(f"Ended {ended} logins.")


@cli.command("why")
@click.argument("name", metavar="ID|TOKEN")
@json_option
@command
def why(name: str, *, as_json: bool) -> None:
    r"""Tell why somebody was logged out: what befell a login, and which rule ended it.

    A refresh token is only looked at, not spent; `-` reads it from standard input. An access token
    has the ID as its `sid`.

    \b
    flask sessions why 0d6c0a52-5f0f-4c5f-9d53-2b1a1f0d7c11
    flask sessions why - < token
    """
    presented = _presented(sys.stdin.read().strip() if name == "-" else name)
    known, now = services(), clock.now()
    login_id = presented.login_id if isinstance(presented, PresentedToken) else presented
    told = history.of(db.session(), login_id, now)
    answer = {
        "session": str(login_id),
        "rule": told.rule,
        "why": history.RULES[told.rule],
        "token": history.fate(db.session(), presented, known.lifetimes, now)
        if isinstance(presented, PresentedToken)
        else None,
        "login": _described(told.login) if told.login else None,
        "timeline": [event.described() for event in told.events],
    }
    click.echo(json.dumps(answer)) if as_json else _tell(answer)


@cli.command("purge")
@command
def purge() -> None:
    """Delete logins expired longer ago than LOGIN_RETENTION. Every login deletes a few, too."""
    deleted = sessions.purge(db.session(), before=clock.now() - services().retention)
    click.echo(f"Deleted {deleted} logins.")


def _find(user: str) -> User:
    return accounts.find(db.session(), user)


def _described(login: RefreshToken) -> dict[str, Any]:
    return {
        "id": str(login.id),
        "user": str(login.user_id),
        "address": login.ip_address,
        "user_agent": login.user_agent,
        "created": login.created_at.isoformat(),
        "last_used": login.rotated_at.isoformat(),
        "expires": login.idle_expires_at.isoformat(),
        "refreshes": login.generation,
    }


def _presented(name: str) -> PresentedToken | UUID:
    try:
        return UUID(name)
    except ValueError:
        pass
    try:
        return services().tokens.refresh.inspect(name)
    except InvalidRefreshTokenError as error:
        raise CommandError(
            "Neither a session's id nor a refresh token of this service. If it was one, it is not "
            "whole, or REFRESH_SECRET or ISSUER has been changed since: everybody is logged out.",
            REFUSED,
        ) from error


def _tell(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['why']} ({answer['rule']})")
    if answer["token"]:
        click.echo(answer["token"])
    for rows in ([answer["login"]] if answer["login"] else [], _timeline(answer["timeline"])):
        click.echo()
        show(rows, as_json=False)


def _timeline(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("time", "kind", "reason", "address", "user_agent", "operator")
    return [
        {**{name: event[name] for name in names}, **_compared(event["detail"] or {})}
        for event in events
    ]


def _compared(detail: dict[str, Any]) -> dict[str, Any]:
    names = ("generation", "newest_generation", "last_refresh", "last_address", "last_user_agent")
    return {name: detail.get(name) for name in names}
