"""`flask users`: the operator's way to accounts."""

from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from keyturn import clock
from keyturn.auth import credentials, sessions
from keyturn.console import (
    REFUSED,
    USAGE,
    CommandError,
    ask_password,
    command,
    confirm,
    json_option,
    password_stdin_option,
    show,
    yes_option,
)
from keyturn.database import db
from keyturn.http.schema import load
from keyturn.services import services
from keyturn.users import accounts, seeds, transfer
from keyturn.users.models import User
from keyturn.users.schemas import NewUserSchema

cli = AppGroup("users", help="Create, look at and change users. USER is an e-mail or an id.")

cli.add_command(transfer.import_users)
cli.add_command(transfer.export_users)

user_argument = click.argument("user", metavar="USER")


@cli.command("create")
@click.argument("email")
@click.option("--name", required=True, help="How the user is called.")
@password_stdin_option
@json_option
@command
def create(email: str, name: str, *, password_stdin: bool, as_json: bool) -> None:
    r"""Create a user; the password is asked for, without echo.

    \b
    flask users create ann@example.com --name Ann
    pass show ann | flask users create ann@example.com --name Ann --password-stdin
    """
    fields = load(NewUserSchema(), {"email": email, "name": name}, partial=("password",))
    password_hash = _new_password_hash(fields["email"], fields["name"], from_stdin=password_stdin)
    user = accounts.create(db.session(), **fields, password_hash=password_hash, now=clock.now())
    show([_described(user)], as_json=as_json)


@cli.command("list")
@json_option
@command
def list_users(*, as_json: bool) -> None:
    """List all users, oldest first."""
    show(map(_described, accounts.list_all(db.session())), as_json=as_json)


@cli.command("show")
@user_argument
@json_option
@command
def show_user(user: str, *, as_json: bool) -> None:
    """Show one user, and how many live logins there are."""
    found = _find(user)
    live = sessions.list_live(db.session(), found.id, clock.now())
    show([{**_described(found), "logins": len(live)}], as_json=as_json)


@cli.command("set-password")
@user_argument
@password_stdin_option
@command
def set_password(user: str, *, password_stdin: bool) -> None:
    """Set a user's password. All logins of the user end."""
    found = _find(user)
    password_hash = _new_password_hash(found.email, found.name, from_stdin=password_stdin)
    ended = credentials.set_password(
        db.session(), found.id, password_hash=password_hash, now=clock.now()
    )
    click.echo(f"Set the password of {found.email}; logins ended: {ended}.")


@cli.command("disable")
@user_argument
@command
def disable(user: str) -> None:
    """Let a user log in no more. All logins of the user end."""
    found = _find(user)
    ended = credentials.disable(db.session(), found.id, now=clock.now())
    click.echo(f"Disabled {found.email}; logins ended: {ended}.")


@cli.command("enable")
@user_argument
@command
def enable(user: str) -> None:
    """Let a disabled user log in again. Logins that ended stay ended."""
    found = _find(user)
    credentials.enable(db.session(), found.id, now=clock.now())
    click.echo(f"Enabled {found.email}.")


@cli.command("delete")
@user_argument
@yes_option
@command
def delete(user: str, *, yes: bool) -> None:
    """Delete a user, for good. All logins of the user end."""
    found = _find(user)
    confirm(f"Delete {found.email} for good?", yes=yes)
    ended = credentials.delete(db.session(), found.id, now=clock.now())
    click.echo(f"Deleted {found.email}; logins ended: {ended}.")


@cli.command("seed")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@command
def seed(file: Path | None) -> None:
    r"""Create users that are not there yet: from FILE, or the demo users.

    FILE is a JSON array of objects, or a CSV with a header line, with name, email and password.
    The demo users, Bob, John and Gary, have passwords everybody knows: in production they are
    refused, and a file's passwords must meet the password policy there.

    \b
    flask users seed
    flask users seed team.json
    """
    known = services()
    users = _demo_users() if file is None else _users_of(file)
    if file is not None and known.settings.is_production:
        for user in users:
            known.policy.check(user["password"], user["email"], user["name"])
    work = seeds.seed(db.session(), users, passwords=known.passwords, now=clock.now())
    with click.progressbar(work, length=len(users), label="Seeding users") as progress:
        created = sum(one.created for one in progress)
    click.echo(f"Created {created}, already there {len(users) - created}.")


def _demo_users() -> list[dict[str, Any]]:
    if services().settings.is_production:
        raise CommandError("Demo users are refused where KEYTURN_ENV is production.", REFUSED)
    return list(seeds.DEMO_USERS)


def _users_of(file: Path) -> list[dict[str, Any]]:
    try:
        return seeds.read(file)
    except ValueError as error:
        raise CommandError(f"{file}: {error}", USAGE) from error


def _find(user: str) -> User:
    return accounts.find(db.session(), user)


def _new_password_hash(*personal: str, from_stdin: bool) -> str:
    known = services()
    password = ask_password(from_stdin=from_stdin)
    known.policy.check(password, *personal)
    return known.passwords.hash(password)


def _described(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "email": user.email,
        "name": user.name,
        "created": user.created_at.isoformat(),
        "disabled": user.disabled_at.isoformat() if user.disabled_at else None,
    }
