"""Service tokens: made, listed, revoked, and recognised.

A token is random, so a plain SHA-256 of it is enough: there is nothing to guess. It is looked up by
this digest, and how long that takes tells nothing about the token. Its prefix lets scanners of
secrets find one that got into a repository.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.database import transaction
from keyturn.downstream.models import ServiceToken
from keyturn.errors import ServiceExistsError, UnknownServiceError
from keyturn.single import look_up

PREFIX = "keyturn_svc_"
RANDOM_BYTES = 32

_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)

_OWNER = select(ServiceToken.name).where(ServiceToken.digest == bindparam("digest"))


def create(session: Session, *, name: str, now: datetime) -> str:
    """Let a service ask, and return its token, which nobody can be told again.

    Raises `ServiceExistsError`.
    """
    token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    try:
        with transaction(session):
            session.add(ServiceToken(name=name, digest=_digest(token), created_at=now))
            session.flush()
            trail.record(session, Kind.SERVICE_CREATED, now=now, service=name)
    except IntegrityError as error:
        raise ServiceExistsError from error
    return token


def list_all(session: Session) -> Sequence[ServiceToken]:
    """Return all services that may ask, by name."""
    return session.scalars(select(ServiceToken).order_by(ServiceToken.name)).all()


def revoke(session: Session, name: str, *, now: datetime) -> None:
    """Let a service ask no more. Raises `UnknownServiceError`."""
    with transaction(session):
        revoked = delete(ServiceToken).where(ServiceToken.name == name)
        if session.scalar(revoked.returning(ServiceToken.name)) is None:
            raise UnknownServiceError
        trail.record(session, Kind.SERVICE_REVOKED, now=now, service=name)


def owner_of(token: str) -> str | None:
    """Return the name of the service whose token this is, or None. A shapeless one costs no query.

    A token is 256 random bits.
    """
    if _TOKEN.fullmatch(token) is None:
        return None
    row = look_up(_OWNER, {"digest": _digest(token)})
    return None if row is None else str(row.name)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("ascii")).hexdigest()
