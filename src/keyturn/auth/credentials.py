"""Passwords and the right to log in. Whoever loses either loses the logins made with it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete as delete_from
from sqlalchemy import update
from sqlalchemy.orm import Session

from keyturn import notes
from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.auth import sessions
from keyturn.database import retried, transaction
from keyturn.errors import UnknownUserError, WrongPasswordError
from keyturn.passwords import Passwords
from keyturn.policy import PasswordPolicy
from keyturn.single import writing
from keyturn.throttle import attempts
from keyturn.throttle.budgets import Budgets
from keyturn.users.models import User

PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a `revoked_reason`
USER_DISABLED = "user_disabled"
USER_DELETED = "user_deleted"


@notes.event("change_password")
def change_password(
    session: Session,
    *,
    user_id: UUID,
    login_id: UUID,
    current: str,
    new: str,
    personal: tuple[str, ...],
    passwords: Passwords,
    budgets: Budgets,
    policy: PasswordPolicy,
    now: datetime,
) -> None:
    """Replace a password by one its owner chose; every login but the one that asks ends.

    `personal` is what the new one must not be: the user's e-mail and name.
    Raises `WeakPasswordError` for a new password that the policy does not take,
    `WrongPasswordError` if `current` is not the password, and `TooManyAttemptsError` if it was not
    too often.
    """
    policy.check(new, *personal)
    stored = confirm(
        session,
        user_id=user_id,
        login_id=login_id,
        password=current,
        passwords=passwords,
        budgets=budgets,
        failure=Kind.PASSWORD_CHANGE_FAILED,
        now=now,
    )
    new_hash = passwords.hash(new)
    with transaction(session):
        changed = update(User).where(User.id == user_id, User.password_hash == stored)
        if session.scalar(changed.values(password_hash=new_hash).returning(User.id)) is None:
            raise WrongPasswordError  # another change came first
        _record(session, Kind.PASSWORD_CHANGED, user_id, now=now, login_id=login_id)
        sessions.end_logins_of(session, user_id, keep=login_id, reason=PASSWORD_CHANGED, now=now)


def confirm(
    session: Session,
    *,
    user_id: UUID,
    login_id: UUID,
    password: str,
    passwords: Passwords,
    budgets: Budgets,
    failure: Kind,
    now: datetime,
) -> str:
    """Check the password of whoever is logged in; return its hash, to tell if it changes meanwhile.

    The attempt is the login's own: who stole an access token cannot guess on, and who guesses
    elsewhere keeps no owner from it. `failure` is what the audit trail calls a wrong password.
    Raises `WrongPasswordError` and `TooManyAttemptsError`.
    """
    user = session.get(User, user_id)
    session.commit()
    if user is None:  # deleted a moment ago
        raise WrongPasswordError
    claims = budgets.of_confirmation(user.email, login_id)
    with attempts.claimed(claims, now=now):
        right = passwords.verify(password, user.password_hash).right
    if not right:
        with transaction(session):
            _record(session, failure, user_id, now=now, login_id=login_id)
        raise WrongPasswordError
    with writing(durable=False) as connection:
        attempts.give_back(connection, claims)
    return user.password_hash


@notes.event("delete_account")
def delete_own(
    session: Session,
    *,
    user_id: UUID,
    login_id: UUID,
    password: str,
    passwords: Passwords,
    budgets: Budgets,
    now: datetime,
) -> None:
    """Delete a user who asks for it and knows the password, with all logins.

    Raises `WrongPasswordError`, `TooManyAttemptsError` and `UnknownUserError`.
    """
    confirm(
        session,
        user_id=user_id,
        login_id=login_id,
        password=password,
        passwords=passwords,
        budgets=budgets,
        failure=Kind.USER_DELETE_FAILED,
        now=now,
    )
    delete(session, user_id, now=now)


@retried
def set_password(session: Session, user_id: UUID, *, password_hash: str, now: datetime) -> int:
    """Replace a password from outside; return how many logins ended. Raises `UnknownUserError`."""
    with transaction(session):
        _update(session, user_id, password_hash=password_hash)
        _record(session, Kind.PASSWORD_CHANGED, user_id, now=now)
        return sessions.end_logins_of(session, user_id, reason=PASSWORD_CHANGED, now=now)


@retried
def disable(session: Session, user_id: UUID, *, now: datetime) -> int:
    """Let a user log in no more; return how many logins ended. Raises `UnknownUserError`."""
    with transaction(session):
        _update(session, user_id, disabled_at=now)
        _record(session, Kind.USER_DISABLED, user_id, now=now)
        return sessions.end_logins_of(session, user_id, reason=USER_DISABLED, now=now)


@retried
def enable(session: Session, user_id: UUID, *, now: datetime) -> None:
    """Let a user log in again. Logins that ended stay ended. Raises `UnknownUserError`."""
    with transaction(session):
        _update(session, user_id, disabled_at=None)
        _record(session, Kind.USER_ENABLED, user_id, now=now)


@retried
def delete(session: Session, user_id: UUID, *, now: datetime) -> int:
    """Delete a user and, by cascade, the logins, which end; return how many did.

    Raises `UnknownUserError`. What stays is the bare id of each ended login, for the services that
    must refuse its access tokens, and the audit trail, which knows no name. Disabled first, the
    user cannot log in meanwhile.
    """
    with transaction(session):
        _update(session, user_id, disabled_at=now)
        _record(session, Kind.USER_DELETED, user_id, now=now)
        ended = sessions.end_logins_of(session, user_id, reason=USER_DELETED, now=now)
        session.execute(delete_from(User).where(User.id == user_id))
    return ended


def _record(
    session: Session, kind: Kind, user_id: UUID, *, now: datetime, login_id: UUID | None = None
) -> None:
    trail.record(session, kind, now=now, user_id=user_id, login_id=login_id)


def _update(session: Session, user_id: UUID, **values: object) -> None:
    changed = update(User).where(User.id == user_id).values(**values).returning(User.id)
    if session.scalar(changed) is None:
        raise UnknownUserError
