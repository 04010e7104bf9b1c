"""Logging in: a password for a pair of tokens."""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from keyturn import notes
from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.auth import sessions
from keyturn.auth.models import RefreshToken
from keyturn.auth.tokens import Client, IssuedTokens, Lifetimes, TokenIssuer
from keyturn.database import transaction
from keyturn.errors import InvalidCredentialsError
from keyturn.passwords import Passwords
from keyturn.users.models import User

PURGED_WITH_A_LOGIN = 10  # more than one, so that the dead cannot outgrow the living

# Why a login failed, which the audit trail tells and the answer does not.
UNKNOWN_USER = "unknown_user"
WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a reason
DISABLED = "disabled"


@notes.event("login")
def log_in(
    session: Session,
    *,
    email: str,
    password: str,
    client: Client,
    passwords: Passwords,
    issuer: TokenIssuer,
    lifetimes: Lifetimes,
    retention: timedelta,
    audit_retention: timedelta,
    now: datetime,
    replaces: str | None = None,
) -> IssuedTokens:
    """Check a password and begin a login. `email` is in its one form.

    The login of the refresh token it `replaces` ends, whoever's it is (ASVS 7.2.4).
    Raises `InvalidCredentialsError` for a wrong password, an unknown e-mail and a disabled user
    alike, after the same work. The hashing happens outside of any transaction.
    """
    replaced = None if replaces is None else sessions.read(replaces, issuer)
    user = session.scalar(select(User).where(User.email == email))
    session.commit()
    verdict = passwords.verify(password, user.password_hash if user else None)
    if user is not None:
        notes.add(user=user.id)
    if user is None or user.disabled_at is not None or not verdict.right:
        _record_failure(session, user, audit_retention, now)
        raise InvalidCredentialsError
    with transaction(session):
        _check_unchanged(session, user)
        if verdict.new_hash is not None:
            session.execute(
                update(User).where(User.id == user.id).values(password_hash=verdict.new_hash)
            )
        login = _begin(user, client, lifetimes, now)
        session.add(login)
        session.flush()
        sessions.delete_dead(session, before=now - retention, limit=PURGED_WITH_A_LOGIN)
        notes.add(login=login.id)
        trail.record(session, Kind.LOGIN, now=now, user_id=user.id, login_id=login.id)
        _sweep_trail(session, audit_retention, now)
        if replaced is not None:
            which = RefreshToken.id == replaced.login_id
            sessions.end_logins(session, which, reason=sessions.REPLACED, now=now)
        return issuer.both(login, now)


def _record_failure(
    session: Session, user: User | None, audit_retention: timedelta, now: datetime
) -> None:
    with transaction(session):
        trail.record(
            session,
            Kind.LOGIN_FAILED,
            now=now,
            reason=_why_not(user),
            user_id=user.id if user else None,
        )
        _sweep_trail(session, audit_retention, now)


def _why_not(user: User | None) -> str:
    if user is None:
        return UNKNOWN_USER
    return WRONG_PASSWORD if user.disabled_at is None else DISABLED


def _sweep_trail(session: Session, audit_retention: timedelta, now: datetime) -> None:
    trail.delete_old(session, before=now - audit_retention, limit=trail.PURGED_WITH_A_LOGIN)


def _check_unchanged(session: Session, user: User) -> None:
    # While the hash was computed, the password may have been changed or the user disabled.
    unchanged = (
        select(User.id)
        .where(
            User.id == user.id,
            User.password_hash == user.password_hash,
            User.disabled_at.is_(None),
        )
        .with_for_update()
    )
    if session.scalar(unchanged) is None:
        raise InvalidCredentialsError


def _begin(user: User, client: Client, lifetimes: Lifetimes, now: datetime) -> RefreshToken:
    ends_at = now + lifetimes.absolute
    return RefreshToken(
        user_id=user.id,
        created_at=now,
        rotated_at=now,
        idle_expires_at=min(now + lifetimes.idle, ends_at),
        absolute_expires_at=ends_at,
        user_agent=client.user_agent,
        ip_address=client.ip_address,
    )
