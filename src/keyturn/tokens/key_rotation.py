"""What is done to signing keys: the next one made, one retired, one revoked.

Several hosts may do it at once. Each key's number is the one before plus one, and unique, so the
database takes only one of those that were made at the same time; the others look again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.database import transaction
from keyturn.errors import UnavailableError, UnknownKeyError
from keyturn.tokens.keypairs import KeyPair, Vault
from keyturn.tokens.lifecycle import Life, Schedule, State, Succession
from keyturn.tokens.models import SigningKey

_P = ParamSpec("_P")
_R = TypeVar("_R")

_ATTEMPTS = 5

_ALL = select(SigningKey).order_by(SigningKey.number).execution_options(populate_existing=True)


@dataclass(frozen=True)
class KeyMaker:
    """Makes key pairs for one algorithm, sealed, with the lives their schedule gives them."""

    algorithm: str
    vault: Vault
    schedule: Schedule

    def make(self) -> SigningKey:
        """Return a new key that has no number and no times yet. Takes half a second for RSA."""
        pair = KeyPair.generate(self.algorithm)
        return SigningKey(
            kid=pair.kid,
            algorithm=pair.algorithm,
            public_jwk=json.dumps(pair.public),
            private_key=self.vault.seal(pair.kid, pair.private),
        )


def _whoever_comes_first(change: Callable[_P, _R]) -> Callable[_P, _R]:
    """Do it again, on the keys as they are then, where another's new key came first."""

    @wraps(change)
    def repeated(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for _ in range(_ATTEMPTS):
            try:
                return change(*args, **kwargs)
            except IntegrityError:
                continue
        raise UnavailableError(retry_after=1)

    return repeated


def list_all(session: Session, schedule: Schedule, now: datetime) -> list[Life[SigningKey]]:
    """Return all keys, oldest first, as they are at this time."""
    return _Line(session, schedule, now).lives


@_whoever_comes_first
def ensure(session: Session, *, maker: KeyMaker, now: datetime) -> None:
    """Make the first key, or the next if the schedule says it is due; else change nothing."""
    key = maker.make()
    with transaction(session):
        line = _Line(session, maker.schedule, now)
        if line.signer is None:
            line.replace(key)
        elif line.is_due:
            line.announce(key)


@_whoever_comes_first
def rotate(session: Session, *, maker: KeyMaker, at_once: bool, now: datetime) -> SigningKey:
    """Make the next key. It signs when all verifiers have seen it, or `at_once`.

    At once means that verifiers with a copy of the JWKS refuse its tokens unless they ask again for
    a key they do not know. The old key's tokens stay good either way.
    """
    key = maker.make()
    with transaction(session):
        line = _Line(session, maker.schedule, now)
        if at_once:
            line.replace(key)
        else:
            line.announce(key)
    return key


@_whoever_comes_first
def retire(session: Session, name: str, *, maker: KeyMaker, now: datetime) -> None:
    """Let a key sign no more; its tokens stay good.

    A key that signs goes on until its successor, made now if there is none, has been seen by all.
    One that has not signed yet never will. Raises `UnknownKeyError`.
    """
    key = maker.make()
    with transaction(session):
        line = _Line(session, maker.schedule, now)
        life = line.find(name)
        line.record(Kind.KEY_RETIRED, life.key)
        if life.key is line.signer and not line.heirs:
            line.announce(key)
        elif life.state is State.PUBLISHED:
            line.revoke(life.key)


@_whoever_comes_first
def revoke(session: Session, name: str, *, maker: KeyMaker, now: datetime) -> None:
    """Refuse all tokens of a key from now on. If it is the one that signs, a new one does at once.

    Raises `UnknownKeyError`.
    """
    key = maker.make()
    with transaction(session):
        line = _Line(session, maker.schedule, now)
        stolen = line.find(name).key
        if stolen is line.signer:
            line.replace(key)
        line.revoke(stolen)


class _Line(Succession[SigningKey]):
    """All keys within one transaction, to be changed by it."""

    def __init__(self, session: Session, schedule: Schedule, now: datetime) -> None:
        self._session = session
        self._keys = session.scalars(_ALL).all()
        super().__init__(self._keys, schedule, now)

    def find(self, name: str) -> Life[SigningKey]:
        """Return a key by its number or `kid`. Raises `UnknownKeyError`."""
        named = (life for life in self.lives if name in {life.key.kid, str(life.key.number)})
        found = next(named, None)
        if found is None:
            raise UnknownKeyError
        return found

    def announce(self, key: SigningKey) -> None:
        """Publish a key that signs once all verifiers have seen it."""
        self._append(key, self._now + self._schedule.notice)

    def replace(self, key: SigningKey) -> None:
        """Publish a key that signs from now on; those that were to come never will."""
        for heir in self.heirs:
            self.revoke(heir)
        self._append(key, self._now)

    def revoke(self, key: SigningKey) -> None:
        """End a key's life now, and erase its private part."""
        if key.revoked_at is None:
            self.record(Kind.KEY_REVOKED, key)
        key.revoked_at = key.revoked_at or self._now
        key.private_key = None

    def record(self, kind: Kind, key: SigningKey) -> None:
        """Let the audit trail tell of a key."""
        trail.record(self._session, kind, now=self._now, number=key.number, kid=key.kid)

    def _append(self, key: SigningKey, signing_at: datetime) -> None:
        for life in self.lives:
            if life.state is State.GONE:
                life.key.private_key = None
        key.number = max((one.number for one in self._keys), default=0) + 1
        key.published_at, key.signing_at = self._now, signing_at
        self._session.add(key)
        self._session.flush()
        self.record(Kind.KEY_CREATED, key)
