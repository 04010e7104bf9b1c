"""`flask sessions`: the operator's way to logins."""

from typing import Any

import click
from flask.cli import AppGroup

from keyturn import clock
from keyturn.auth import sessions
from keyturn.auth.models import RefreshToken
from keyturn.console import USAGE, CommandError, command, json_option, show
from keyturn.database import db
from keyturn.services import services
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
