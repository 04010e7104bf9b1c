"""Logins as their user sees them, sessions: listed, ended, and deleted when long dead."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from keyturn import notes
from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.auth import revocations
from keyturn.auth.models import LOGINS, RefreshToken, is_live
from keyturn.auth.tokens import TokenIssuer
from keyturn.database import UtcDateTime, batch, retried, transaction
from keyturn.errors import KeyturnError, UnknownLoginError
from keyturn.single import Over, run
from keyturn.tokens.refresh import PresentedToken

LOGGED_OUT = "logout"
REPLACED = "replaced"
ENDED_BY_USER = "ended_by_user"
ENDED_BY_OPERATOR = "ended_by_operator"

PURGE_BATCH = 1000

_DELETE_DEAD = delete(LOGINS).where(
    LOGINS.c.id.in_(
        select(LOGINS.c.id)
        .where(LOGINS.c.idle_expires_at < bindparam("before", type_=UtcDateTime))
        .order_by(LOGINS.c.idle_expires_at)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)  # another deletes them just now
    )
)


def list_live(session: Session, owner: UUID | None, now: datetime) -> Sequence[RefreshToken]:
    """Return the live logins of a user, or of all where there is no owner, the last used first."""
    of_owner = [] if owner is None else [RefreshToken.user_id == owner]
    live = select(RefreshToken).where(is_live(RefreshToken, now), *of_owner)
    return session.scalars(live.order_by(RefreshToken.rotated_at.desc())).all()


def count_live(session: Session, now: datetime) -> int:
    """Return how many logins live. Reads an index only; no `idle_expires_at` is past the other."""
    live = (RefreshToken.idle_expires_at > now, RefreshToken.revoked_at.is_(None))
    return session.scalar(select(func.count()).select_from(RefreshToken).where(*live)) or 0


@notes.event("logout")
@retried
def log_out(session: Session, *, token: str, issuer: TokenIssuer, now: datetime) -> None:
    """End the login of a refresh token, current or spent. Any other token changes nothing."""
    presented = read(token, issuer)
    if presented is None:
        notes.add(result="invalid")
        return
    notes.add(user=presented.user_id, login=presented.login_id)
    with transaction(session):
        end_logins(session, RefreshToken.id == presented.login_id, reason=LOGGED_OUT, now=now)


def read(token: str, issuer: TokenIssuer) -> PresentedToken | None:
    """Return what a refresh token says, current or spent; None for any other token."""
    try:
        return issuer.refresh.decode(token)
    except KeyturnError:
        return None


@notes.event("end_session")
@retried
def end(session: Session, login_id: UUID, *, owner: UUID, now: datetime) -> None:
    """End one of a user's own live logins. Raises `UnknownLoginError` for any other."""
    with transaction(session):
        own = (
            RefreshToken.id == login_id,
            RefreshToken.user_id == owner,
            is_live(RefreshToken, now),
        )
        if end_logins(session, *own, reason=ENDED_BY_USER, now=now) == 0:
            raise UnknownLoginError


@notes.event("end_sessions")
@retried
def end_all(session: Session, user_id: UUID, *, keep: UUID | None, now: datetime) -> int:
    """End all logins of a user but `keep`; return how many there were."""
    with transaction(session):
        return end_logins_of(session, user_id, keep=keep, reason=ENDED_BY_USER, now=now)


@retried
def revoke(session: Session, login_id: UUID, *, now: datetime) -> None:
    """End a login from outside. Raises `UnknownLoginError` where none lives by this id."""
    with transaction(session):
        one = (RefreshToken.id == login_id, is_live(RefreshToken, now))
        if end_logins(session, *one, reason=ENDED_BY_OPERATOR, now=now) == 0:
            raise UnknownLoginError


@retried
def revoke_all(session: Session, user_id: UUID, *, now: datetime) -> int:
    """End all logins of a user from outside; return how many there were."""
    with transaction(session):
        return end_logins_of(session, user_id, reason=ENDED_BY_OPERATOR, now=now)


def end_logins_of(
    session: Session, user_id: UUID, *, keep: UUID | None = None, reason: str, now: datetime
) -> int:
    """End the logins of a user within the caller's transaction; return how many there were."""
    others = [] if keep is None else [RefreshToken.id != keep]
    return end_logins(session, RefreshToken.user_id == user_id, *others, reason=reason, now=now)


def end_logins(session: Session, *which: Any, reason: str, now: datetime) -> int:
    """End logins within the caller's transaction; return how many were not ended before.

    The only way in which a login is ended, so that other services and the audit trail hear of it.
    It comes last in its transaction, as `revocations.publish` says.
    """
    ended = session.execute(
        update(RefreshToken)
        .where(*which, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now, revoked_reason=reason)
        .returning(RefreshToken.id, RefreshToken.user_id)
        .execution_options(synchronize_session=False)
    ).all()
    for login_id, user_id in ended:
        trail.record(
            session, Kind.LOGIN_ENDED, now=now, reason=reason, user_id=user_id, login_id=login_id
        )
    revocations.publish(session, [login_id for login_id, _ in ended], now)
    return len(ended)


def purge(session: Session, *, before: datetime) -> int:
    """Delete all logins that expired before a time, in batches; return how many."""
    total = 0
    while True:
        with batch(session):
            deleted = delete_dead(session, before=before, limit=PURGE_BATCH)
        total += deleted
        if deleted < PURGE_BATCH:
            return total


def purge_lag(session: Session, *, before: datetime) -> timedelta:
    """Return how long before a time the oldest login expired that is still there; zero if later."""
    oldest = session.scalar(select(func.min(RefreshToken.idle_expires_at)))
    return max(before - oldest, timedelta()) if oldest else timedelta()


def delete_dead(over: Over, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` logins that expired before a time, within the caller's transaction.

    A login that was ended is kept until then, too: as long as one of its tokens is in date.
    """
    deleted = run(_DELETE_DEAD, {"before": before, "most": limit}, over)
    if deleted > 0:
        notes.add(purged=deleted)
    return deleted
