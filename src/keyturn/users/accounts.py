"""What is done to accounts that touches neither their passwords nor their logins."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Table, select, update
from sqlalchemy.orm import Session

from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.database import by_dialect, retried, transaction
from keyturn.errors import EmailTakenError, UnknownUserError
from keyturn.users import emails
from keyturn.users.models import USERS, User

READ_AT_ONCE = 1000  # users


@by_dialect
def _upsert(insert: Callable[[Table], Any]) -> Any:
    # Where the e-mail is taken, its row is written as it was, so that the time tells nothing.
    statement = insert(USERS)
    return statement.on_conflict_do_update(
        index_elements=[USERS.c.email], set_={"email": statement.excluded.email}
    ).returning(USERS.c.id)


@retried
def create(session: Session, *, name: str, email: str, password_hash: str, now: datetime) -> User:
    """Add a user. `email` is in its one form. Raises `EmailTakenError`, after the same work."""
    user = {
        "id": uuid4(),
        "name": name,
        "email": email,
        "password_hash": password_hash,
        "created_at": now,
    }
    with transaction(session):
        holder = session.scalar(_upsert(), user)
        kind = Kind.USER_CREATED if holder == user["id"] else Kind.USER_EXISTS
        trail.record(session, kind, now=now, user_id=holder)
    if kind is Kind.USER_EXISTS:
        raise EmailTakenError
    return User(**user)


def find(session: Session, email_or_id: str) -> User:
    """Return the user of an e-mail, in any form, or of an id. Raises `UnknownUserError`."""
    user = session.scalar(select(User).where(_named(email_or_id)))
    if user is None:
        raise UnknownUserError
    return user


def _named(email_or_id: str) -> ColumnElement[bool]:
    try:
        return User.id == UUID(email_or_id)
    except ValueError:
        pass
    try:
        return User.email == emails.normalised(email_or_id)
    except ValueError:
        raise UnknownUserError from None


def list_all(session: Session) -> Iterator[User]:
    """Yield all users, oldest first, without having them all in memory."""
    everybody = select(User).order_by(User.created_at, User.email)
    return session.scalars(everybody, execution_options={"yield_per": READ_AT_ONCE})


@retried
def rename(session: Session, user_id: UUID, name: str, *, now: datetime) -> User:
    """Change a user's name. Raises `UnknownUserError`."""
    with transaction(session):
        renamed = update(User).where(User.id == user_id).values(name=name).returning(User)
        user: User | None = session.scalar(renamed)
        if user is None:
            raise UnknownUserError
        trail.record(session, Kind.USER_RENAMED, now=now, user_id=user_id)
    return user
