"""`flask audit`: the operator's way to the audit trail."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID

import click
from flask.cli import AppGroup

from keyturn import clock
from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.audit.trail import Filter
from keyturn.console import command, json_option, show
from keyturn.database import db
from keyturn.services import services
from keyturn.users import accounts

cli = AppGroup("audit", help="Look at, export and purge the audit trail.")

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


class Time(click.ParamType[datetime]):
    """A time of RFC 3339, UTC unless it says otherwise, or how long ago: `7d`, `12h`, `30m`."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Read it."""
        if ago := re.fullmatch(r"([0-9]{1,5})([dhm])", value, re.ASCII):
            return clock.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail("is neither a time like 2026-11-24T12:00Z nor one like 7d.", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command say which entries it means; it gets them as its argument `which`."""

    def filtered(
        user: str | None, login_id: UUID | None, kinds: tuple[str, ...], **rest: Any
    ) -> Any:
        since, until = rest.pop("since"), rest.pop("until")
        which = Filter(
            user_id=_id_of(user) if user else None,
            login_id=login_id,
            kinds=[Kind(kind) for kind in kinds],
            since=since,
            until=until,
        )
        return function(which=which, **rest)

    filtered.__doc__ = function.__doc__
    options = (
        click.option("--user", metavar="USER", help="Of this e-mail or id; a deleted one's id."),
        click.option("--session", "login_id", type=click.UUID, metavar="ID", help="Of this login."),
        click.option(
            "--kind", "kinds", type=click.Choice([kind.value for kind in Kind]), multiple=True
        ),
        click.option("--since", type=Time(), help="A time, or how long ago: 7d, 12h, 30m."),
        click.option("--until", type=Time(), help="A time, or how long ago."),
    )
    return reduce(lambda decorated, option: option(decorated), reversed(options), filtered)


@cli.command("list")
@click.option("--limit", default=100, show_default=True, help="No more than the newest so many.")
@json_option
@command
@filters
def list_events(*, which: Filter, limit: int, as_json: bool) -> None:
    r"""List entries, the newest last.

    \b
    flask audit list --since 1d --kind login_failed --kind refresh_refused
    flask audit list --user bob@gmail.com --json
    """
    events = trail.newest(db.session(), which, limit)
    rows = [event.described() for event in events]
    show(
        rows if as_json else [{**row, "detail": _plain(row["detail"])} for row in rows],
        as_json=as_json,
    )


@cli.command("export")
@command
@filters
def export(*, which: Filter) -> None:
    r"""Write all entries as lines of JSON, oldest first, for a log store or an archive.

    \b
    flask audit export --since 2026-11-01 --until 2026-12-01 > november.jsonl
    """
    for event in trail.stream(db.session(), which):
        click.echo(json.dumps(event.described()))


@cli.command("purge")
@click.option("--before", type=Time(), help="Instead of AUDIT_RETENTION: a time, or how long ago.")
@command
def purge(before: datetime | None) -> None:
    r"""Delete entries older than AUDIT_RETENTION. Every login deletes a few, too.

    \b
    flask audit purge
    flask audit purge --before 30d
    """
    now = clock.now()
    limit = before or now - services().audit_retention
    deleted = trail.purge(db.session(), before=limit, now=now)
    click.echo(f"Deleted {deleted} entries.")


def _plain(detail: dict[str, Any] | None) -> str:
    return " ".join(f"{name}={value}" for name, value in (detail or {}).items())


def _id_of(user: str) -> UUID:
    try:
        return UUID(user)  # who was deleted is still in the trail
    except ValueError:
        return accounts.find(db.session(), user).id
