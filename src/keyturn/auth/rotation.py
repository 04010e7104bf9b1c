"""Refreshing: a refresh token is spent for its successor, once.

The step is one statement, a compare-and-set on the login's generation: of any number of requests
with one token, in any number of processes, one makes it. All else comes before, so that who makes
the step holds nobody up: the row is read and the tokens are signed. What those get who do not make
it is decided by `keyturn.auth.judgement` on the row as it then stands.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Integer, and_, bindparam, exists, literal_column, select, update
from sqlalchemy.orm import Session

from keyturn import notes
from keyturn.auth import refresh_trail, sessions
from keyturn.auth.judgement import REFUSALS, Verdict, judge
from keyturn.auth.models import LOGINS, TOKEN_STATE, RefreshToken, is_live
from keyturn.auth.tokens import Client, IssuedTokens, Lifetimes, TokenIssuer
from keyturn.database import UtcDateTime, retried, transaction
from keyturn.errors import ExpiredRefreshTokenError, UnavailableError
from keyturn.single import change, lent, look_up
from keyturn.tokens.refresh import PresentedToken
from keyturn.users.models import USERS

REUSED = "reused"  # the `revoked_reason` of a login that reuse ended


# Statements are built once, because building them costs more than running them, and of tables
# instead of models, because the ORM prepares an UPDATE anew each time it is sent.
_login, _user = LOGINS.c, USERS.c

_NOW = bindparam("at", type_=UtcDateTime)
_OF_THE_TOKEN = and_(_login.id == bindparam("sid"), _login.user_id == bindparam("sub"))

_ROTATE = (
    update(LOGINS)
    .where(
        _OF_THE_TOKEN,
        _login.generation == bindparam("gen"),
        is_live(_login, _NOW),
        exists().where(_user.id == _login.user_id, _user.disabled_at.is_(None)),
    )
    .values(
        generation=bindparam("next", type_=Integer),
        rotated_at=_NOW,
        idle_expires_at=bindparam("idle_end", type_=UtcDateTime),
        replays=literal_column("0"),
        retry_key_hash=bindparam("key_hash", type_=_login.retry_key_hash.type),
        user_agent=bindparam("agent", type_=_login.user_agent.type),
        ip_address=bindparam("address", type_=_login.ip_address.type),
        client_changed=bindparam("changed", type_=Boolean),
    )
)

_READ = (
    select(
        *TOKEN_STATE,
        _login.replays,
        _login.retry_key_hash,
        _login.user_agent,
        _login.ip_address,
        _login.revoked_at,
        _user.disabled_at,
    )
    .join_from(LOGINS, USERS, _user.id == _login.user_id)
    .where(_OF_THE_TOKEN)
)
_READ_TO_CHANGE = _READ.with_for_update(of=LOGINS)

_COUNT_REPLAY = (
    update(LOGINS).where(_login.id == bindparam("sid")).values(replays=_login.replays + 1)
)


@notes.event("refresh")
@retried
def refresh(
    session: Callable[[], Session],
    *,
    token: str,
    retry_key: str | None,
    client: Client,
    issuer: TokenIssuer,
    lifetimes: Lifetimes,
    now: datetime,
) -> IssuedTokens:
    """Spend a refresh token for new tokens (RFC 9700 section 4.14.2).

    `session` gives one, which is seldom needed. `retry_key` is the request's Idempotency-Key.
    Raises one of the refresh token errors of `keyturn.errors`. Nothing is changed then, except
    that reuse has ended the login.
    """
    presented = issuer.refresh.inspect(token)
    notes.add(user=presented.user_id, login=presented.login_id)
    if presented.expired:
        refresh_trail.expired(session(), presented, now)
        raise ExpiredRefreshTokenError
    key_hash = _hash_of(retry_key, presented)
    attempt = _Attempt(presented, key_hash, client, issuer, lifetimes, now)
    return attempt.step(session) or attempt.settle(session())


@dataclass(frozen=True)
class _Attempt:
    """A refresh with a token whose signature and own time hold."""

    presented: PresentedToken
    key_hash: str | None
    client: Client
    issuer: TokenIssuer
    lifetimes: Lifetimes
    now: datetime

    def step(self, session: Callable[[], Session]) -> IssuedTokens | None:
        """Spend the token, if it is the login's current one and nobody else just does it."""
        with lent() as connection:
            login = look_up(_READ, _key(self.presented), connection)
            if self._judge(login) is not Verdict.ROTATED:
                return None
            successor = login._replace(
                generation=login.generation + 1,
                rotated_at=self.now,
                idle_expires_at=min(login.absolute_expires_at, self.now + self.lifetimes.idle),
            )
            tokens = self.issuer.both(successor, self.now)  # if that fails, the token is not spent
            used_by = Client(login.user_agent, login.ip_address)
            step = self._parameters(login, successor, changed=used_by != self.client)
            is_made = used_by == self.client and change(_ROTATE, step, connection) == 1
        if used_by != self.client:  # with the connection given back: a thread has but one
            is_made = self._made_from_elsewhere(session(), step)
        if not is_made:
            return None
        notes.add(result=Verdict.ROTATED.value)
        return tokens

    def _made_from_elsewhere(self, session: Session, step: dict[str, Any]) -> bool:
        with transaction(session):
            is_made = session.connection().execute(_ROTATE, step).rowcount == 1
            if is_made:
                refresh_trail.client_changed(session, self.presented, self.now)
        return is_made

    def _parameters(self, login: Any, successor: Any, *, changed: bool) -> dict[str, Any]:
        return {
            **_key(self.presented),
            "gen": login.generation,
            "next": successor.generation,
            "at": self.now,
            "idle_end": successor.idle_expires_at,
            "key_hash": self.key_hash,
            "agent": self.client.user_agent,
            "address": self.client.ip_address,
            "changed": changed,
        }

    def settle(self, session: Session) -> IssuedTokens:
        """Give what a token gets that did not make the step."""
        with transaction(session):
            login = session.execute(_READ_TO_CHANGE, _key(self.presented)).one_or_none()
            verdict = self._judge(login)
            if verdict in REFUSALS:
                refresh_trail.refused(session, verdict, self.presented, login, self.now)
            if verdict is Verdict.REUSED:
                stolen = RefreshToken.id == self.presented.login_id
                sessions.end_logins(session, stolen, reason=REUSED, now=self.now)
            elif verdict in (Verdict.SUCCESSOR, Verdict.ACCESS_ONLY):
                session.execute(_COUNT_REPLAY, {"sid": self.presented.login_id})
                notes.add(result=verdict.value)
                refresh_trail.replayed(session, self.presented, login, self.client, self.now)
                is_whole = verdict is Verdict.SUCCESSOR
                make = self.issuer.both if is_whole else self.issuer.access_only
                return make(login, self.now)  # type: ignore[arg-type] # a Row has the columns
        # Only now: an exception inside of the transaction would undo the revocation.
        if verdict is Verdict.ROTATED:  # its user was enabled, say, since the first look
            raise UnavailableError(retry_after=1)
        raise REFUSALS[verdict]

    def _judge(self, login: Any) -> Verdict:
        grace = self.lifetimes.grace
        return judge(login, self.presented.generation, self.key_hash, grace, self.now)


def foresee(
    session: Session, presented: PresentedToken, lifetimes: Lifetimes, now: datetime
) -> Verdict:
    """Return what a refresh without a key would get now; change nothing."""
    if presented.expired:
        return Verdict.EXPIRED
    login = session.execute(_READ, _key(presented)).one_or_none()
    return judge(login, presented.generation, None, lifetimes.grace, now)


def _hash_of(retry_key: str | None, presented: PresentedToken) -> str | None:
    if retry_key is None:
        return None
    return hashlib.sha256(f"{presented.login_id}:{retry_key}".encode()).hexdigest()


def _key(presented: PresentedToken) -> dict[str, Any]:
    return {"sid": presented.login_id, "sub": presented.user_id}
