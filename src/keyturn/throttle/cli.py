"""`flask throttle`: the operator's way to budgets of guesses."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import click
from flask.cli import AppGroup

from keyturn import clock
from keyturn.console import USAGE, CommandError, command, json_option, show
from keyturn.database import db
from keyturn.services import services
from keyturn.throttle import attempts
from keyturn.throttle.budgets import (
    ACCOUNT,
    ADDRESS,
    UNKNOWN,
    microseconds,
    network_of,
    time_of,
)
from keyturn.throttle.models import SpentBudget
from keyturn.users import emails

cli = AppGroup("throttle", help="Look at and fill up budgets of guesses at passwords.")

SHOWN = 12  # characters of a key: enough to tell budgets apart

_Command = Callable[..., Any]


def whose(function: _Command) -> _Command:
    """Let a command name whose budgets it means: the database itself does not tell."""
    options = (
        click.option("--user", metavar="EMAIL", help="Of this account, and of its devices."),
        click.option("--address", metavar="IP", help="Of this address, or its IPv6 /64."),
    )
    return reduce(lambda decorated, option: option(decorated), reversed(options), function)


@cli.command("list")
@whose
@json_option
@command
def list_spent(user: str | None, address: str | None, *, as_json: bool) -> None:
    r"""List the budgets that are not full, the longest spent first.

    KEY is a digest of whose budget it is. Nobody is refused before USED reaches LIMIT; NEXT is
    when one who is refused now may try again.

    \b
    flask throttle list
    flask throttle list --user bob@gmail.com --json
    """
    now = clock.now()
    spent = attempts.list_spent(db.session(), _holder(user, address), now=now)
    show([_described(budget, microseconds(now)) for budget in spent], as_json=as_json)


@cli.command("clear")
@whose
@click.option("--all", "everything", is_flag=True, help="Of everybody.")
@command
def clear(user: str | None, address: str | None, *, everything: bool) -> None:
    r"""Fill budgets up again: those of an account, of an address, or all.

    \b
    flask throttle clear --user bob@gmail.com
    flask throttle clear --address 2001:db8::1
    flask throttle clear --all
    """
    holder = _holder(user, address)
    if everything == (holder is not None):
        raise CommandError("Give one of --user, --address and --all.", USAGE)
    click.echo(f"Filled {attempts.clear(db.session(), holder)} budgets.")


def _holder(user: str | None, address: str | None) -> str | None:
    if user and address:
        raise CommandError("Give either --user or --address.", USAGE)
    budgets = services().budgets
    if user:
        return budgets.key_of(ACCOUNT, _email(user))
    return budgets.key_of(ADDRESS, _network(address)) if address else None


def _network(address: str) -> str:
    network = network_of(address)
    if network == UNKNOWN != address:
        raise CommandError("That is no IP address.", USAGE)
    return network


def _email(user: str) -> str:
    try:
        return emails.normalised(user)
    except ValueError as error:
        raise CommandError(str(error), USAGE) from error


def _described(budget: SpentBudget, at: int) -> dict[str, Any]:
    next_at = budget.full_at + budget.cost - budget.size
    return {
        "kind": budget.kind,
        "key": budget.key[:SHOWN],
        "used": -((at - budget.full_at) // budget.cost),
        "limit": budget.size // budget.cost,
        "next": time_of(next_at).isoformat(timespec="seconds") if next_at > at else None,
        "full": time_of(budget.full_at).isoformat(timespec="seconds"),
    }
