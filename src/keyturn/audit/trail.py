"""Writing, reading and shortening the audit trail.

An entry is written in the transaction of what it tells: either both are there or neither. Whoever
acts is taken from `keyturn.audit.actor`.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Uuid,
    bindparam,
    delete,
    insert,
    select,
)
from sqlalchemy.orm import Session

from keyturn.audit import actor
from keyturn.audit.models import AuditEvent, Kind
from keyturn.database import batch
from keyturn.single import Over, run

PURGE_BATCH = 1000
PURGED_WITH_A_LOGIN = 100  # more than most logins add
ONCE_EVERY = timedelta(hours=1)  # a client that is refused and tries on, on and on
_READ_BATCH = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTER = count()

_EVENTS = cast("Table", AuditEvent.__table__)
_event = _EVENTS.c

_INSERT = insert(_EVENTS)

_SAME = (
    select(_event.id)
    .where(
        _event.login_id == bindparam("of_login"),
        _event.kind == bindparam("of_kind"),
        _event.reason == bindparam("of_reason"),
        _event.ip_address == bindparam("from_address"),
        _event.id >= bindparam("since", type_=Uuid),
    )
    .limit(1)
)

_DELETE_OLD = delete(_EVENTS).where(
    _event.id.in_(
        select(_event.id)
        .where(_event.id < bindparam("first", type_=Uuid))
        .order_by(_event.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)  # another deletes them just now
    )
)


def record(
    over: Over,
    kind: Kind,
    *,
    now: datetime,
    reason: str | None = None,
    user_id: UUID | None = None,
    login_id: UUID | None = None,
    **detail: Any,
) -> None:
    """Add an entry within the caller's transaction. `detail` must be fit for JSON, and no secret.

    No e-mail belongs in it: it would outlive its user.
    """
    entry = {
        "id": _new_id(now),
        "at": now,
        "kind": kind.value,
        "reason": reason,
        "user_id": user_id,
        "login_id": login_id,
        **actor.current()._asdict(),
        "detail": detail or None,
    }
    run(_INSERT, entry, over)


def is_recorded(
    session: Session, kind: Kind, *, reason: str, login_id: UUID, now: datetime
) -> bool:
    """Tell whether the same befell a login, from the same address, within the last hour."""
    same = {
        "of_login": login_id,
        "of_kind": kind.value,
        "of_reason": reason,
        "from_address": actor.current().ip_address,
        "since": _first_id(now - ONCE_EVERY),
    }
    return session.scalar(_SAME, same) is not None


@dataclass(frozen=True)
class Filter:
    """Which entries are asked for: all that fit whatever is given."""

    user_id: UUID | None = None
    login_id: UUID | None = None
    kinds: Sequence[Kind] = ()
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Return what must hold of an entry."""
        if self.user_id is not None:
            yield AuditEvent.user_id == self.user_id
        if self.login_id is not None:
            yield AuditEvent.login_id == self.login_id
        if self.kinds:
            yield AuditEvent.kind.in_(self.kinds)
        if self.since is not None:
            yield AuditEvent.id >= _first_id(self.since)
        if self.until is not None:
            yield AuditEvent.id < _first_id(self.until)

    def select(self) -> Select[AuditEvent]:
        """Return the statement that finds the entries."""
        return select(AuditEvent).where(*self.conditions())


def newest(session: Session, which: Filter, limit: int | None = None) -> Sequence[AuditEvent]:
    """Return the newest entries, oldest first."""
    found = session.scalars(which.select().order_by(AuditEvent.id.desc()).limit(limit))
    return found.all()[::-1]


def stream(session: Session, which: Filter) -> Iterator[AuditEvent]:
    """Return all entries, oldest first, a few at a time in memory."""
    statement = which.select().order_by(AuditEvent.id)
    yield from session.scalars(statement, execution_options={"yield_per": _READ_BATCH})


def purge(session: Session, *, before: datetime, now: datetime) -> int:
    """Delete all entries from before a time, in batches, and record that; return how many."""
    total = 0
    while True:
        with batch(session):
            deleted = delete_old(session, before=before, limit=PURGE_BATCH)
            total += deleted
            if deleted < PURGE_BATCH:
                record(session, Kind.AUDIT_PURGED, now=now, before=before.isoformat(), rows=total)
                return total


def delete_old(over: Over, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` entries from before a time, within the caller's transaction."""
    return run(_DELETE_OLD, {"first": _first_id(before), "most": limit}, over)


def _first_id(time: datetime) -> UUID:
    """Return the lowest id of a time."""
    milliseconds, rest = divmod(time - _EPOCH, timedelta(milliseconds=1))
    fraction = rest.microseconds * 4096 // 1000  # RFC 9562 section 6.2, method 3
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62)


def _new_id(time: datetime) -> UUID:
    # The counter keeps what one process records at one time in order (section 6.2, method 1).
    unique = (next(_COUNTER) & 0x3FFF) << 48 | secrets.randbits(48)
    return UUID(int=_first_id(time).int | unique)
