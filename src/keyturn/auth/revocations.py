"""The feed of ended logins, polled by services that check access tokens by themselves.

A reader is told its position and asks from there on. For no entry to be missed, positions rise in
the order of the commits: each transaction takes its own when it has the turn to commit, and a
reader never sees one before all that are lower. They are times, so that they go on rising where
the database is restored from a backup.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Table,
    Uuid,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.orm import Session

from keyturn.auth.models import Revocation
from keyturn.database import commit_in_turn
from keyturn.single import look_up_all

KEPT = timedelta(hours=2)  # no access token lives longer: ACCESS_TTL ends at 1 h, LEEWAY at 5 min
PAGE = 1000  # entries, about 100 KB of JSON

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)

_FEED = cast("Table", Revocation.__table__)
_position = _FEED.c.position
_newest = func.max(_position)

_NOW = bindparam("at", type_=BigInteger)

_APPEND = insert(_FEED).from_select(
    ["position", "login_id"],
    select(
        case((func.coalesce(_newest, 0) < _NOW, _NOW), else_=_newest + 1),
        bindparam("sid", type_=Uuid),
    ),
)
_FORGET = delete(_FEED).where(_position < bindparam("before", type_=BigInteger))
_READ = (
    select(_position, _FEED.c.login_id)
    .where(_position > bindparam("after", type_=BigInteger))
    .order_by(_position)
    .limit(PAGE)
)


@dataclass(frozen=True)
class Ended:
    """That a login was ended."""

    login_id: UUID
    at: datetime


@dataclass(frozen=True)
class Page:
    """A part of the feed, and the position to go on from."""

    entries: list[Ended]
    position: int


def publish(session: Session, login_ids: Sequence[UUID], now: datetime) -> None:
    """Add logins to the feed within the transaction that ends them, and drop the oldest from it.

    Comes after everything that the transaction may have to wait for (`commit_in_turn`).
    """
    if not login_ids:
        return
    commit_in_turn(session, "revocations")
    session.execute(_APPEND, [{"sid": one, "at": _to_position(now)} for one in login_ids])
    session.execute(_FORGET, {"before": _to_position(now - KEPT)})


def read(after: int | None, *, window: timedelta, now: datetime) -> Page:
    """Return the logins ended after a position, at most `PAGE`, the first ended first.

    Without a position, and for one that is not of the time about now, that is all that were ended
    within the window.
    """
    first, last = _to_position(now - window), _to_position(now + window)
    start = after if after is not None and first <= after <= last else first
    rows: Sequence[Any] = look_up_all(_READ, {"after": start})
    entries = [Ended(row.login_id, _EPOCH + row.position * _TICK) for row in rows]
    return Page(entries, rows[-1].position if rows else start)


def _to_position(time: datetime) -> int:
    return (time - _EPOCH) // _TICK
