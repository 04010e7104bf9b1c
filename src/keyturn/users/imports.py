"""Users from elsewhere, added with the password hashes they had there.

A batch of lines is one transaction: all its users that can be added are, or none. Whoever is there
already stays as they are, so the same file may come again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.database import by_dialect, transaction
from keyturn.users.models import USERS
from keyturn.users.records import Line

BATCH = 1000  # lines

_user = USERS.c

_KNOWN = select(_user.email).where(_user.email.in_(bindparam("emails", expanding=True)))


@by_dialect
def _add(insert: Callable[[Table], Any]) -> Any:
    return insert(USERS).on_conflict_do_nothing().returning(_user.email)


class Outcome(StrEnum):
    """What became of a line."""

    CREATED = "created"
    EXISTS = "exists"
    DUPLICATE = "duplicate"
    ID_TAKEN = "id_taken"
    INVALID = "invalid"


@dataclass(frozen=True)
class Result:
    """What became of a line, and why."""

    line: int
    outcome: Outcome
    email: str = ""
    detail: str = ""


def add(
    session: Session, lines: Iterator[Line], *, now: datetime, dry_run: bool = False
) -> Iterator[Result]:
    """Add the users of some lines, and tell of each line what became of it, batch by batch.

    Users without a time of creation begin `now`. A dry run does it all and takes it back.
    """
    seen: dict[object, int] = {}
    while batch := list(islice(lines, BATCH)):
        yield from _add_batch(session, batch, seen, now=now, dry_run=dry_run)


def _add_batch(
    session: Session, batch: list[Line], seen: dict[object, int], *, now: datetime, dry_run: bool
) -> Iterator[Result]:
    refused = {line.number: result for line in batch if (result := _refusal(line, seen))}
    users = [
        {"created_at": now, **line.user}
        for line in batch
        if line.user is not None and line.number not in refused
    ]
    outcomes = _store(session, users, now=now, dry_run=dry_run)
    for line in batch:
        if line.number in refused:
            yield refused[line.number]
        elif line.user is not None:
            email = line.user["email"]
            yield Result(line.number, outcomes[email], email)


def _refusal(line: Line, seen: dict[object, int]) -> Result | None:
    """Return why a line is refused, by itself or by the lines before it, which were `seen`."""
    if line.user is None:
        return Result(line.number, Outcome.INVALID, detail=line.fault)
    first = min(seen.setdefault(line.user[key], line.number) for key in ("email", "id"))
    if first < line.number:
        return Result(line.number, Outcome.DUPLICATE, line.user["email"], f"See line {first}.")
    return None


def _store(
    session: Session, users: Sequence[dict[str, Any]], *, now: datetime, dry_run: bool
) -> dict[str, Outcome]:
    """Add those users whose e-mail and id nobody has; return what became of each, by e-mail."""
    if not users:
        return {}
    emails = [user["email"] for user in users]
    with transaction(session):
        created = session.scalars(_add(), users).all()
        known = session.scalars(_KNOWN, {"emails": emails}).all()
        _record(session, users, {*created}, now)
        if dry_run:
            session.rollback()
    return (
        dict.fromkeys(emails, Outcome.ID_TAKEN)
        | dict.fromkeys(known, Outcome.EXISTS)
        | dict.fromkeys(created, Outcome.CREATED)
    )


def _record(
    session: Session, users: Sequence[dict[str, Any]], created: set[str], now: datetime
) -> None:
    for user in users:
        if user["email"] in created:
            trail.record(session, Kind.USER_CREATED, now=now, reason="import", user_id=user["id"])
