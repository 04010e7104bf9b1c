"""Refreshing: a refresh token is spent for its successor, once.

A refresh that rotates is one statement, a compare-and-set on the login's generation: of any
number of requests with one token, in any number of processes, one makes the step. What the others
get is decided by `keyturn.auth.judgement` on the row as it then stands.
"""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, exists, or_, select, update
from sqlalchemy.orm import Session

from keyturn import notes
from keyturn.auth import refresh_trail, sessions
from keyturn.auth.judgement import REFUSALS, Verdict, judge
from keyturn.auth.models import LOGINS, TOKEN_STATE, RefreshToken, is_live
from keyturn.auth.tokens import Client, IssuedTokens, Lifetimes, TokenIssuer
from keyturn.database import UtcDateTime, retried, transaction
from keyturn.errors import ExpiredRefreshTokenError
from keyturn.tokens.refresh import PresentedToken
from keyturn.users.models import USERS

ROTATED = "rotated"  # the result of a refresh that is no verdict
REUSED = "reused"  # the `revoked_reason` of a login that reuse ended


# Statements are built once, because building them costs more than running them, and of tables
# instead of models, because the ORM prepares an UPDATE anew each time it is sent.
_login, _user = LOGINS.c, USERS.c

_NOW = bindparam("at", type_=UtcDateTime)
_IDLE_END = bindparam("idle_end", type_=UtcDateTime)
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
        generation=_login.generation + 1,
        rotated_at=_NOW,
        idle_expires_at=case(
            (_login.absolute_expires_at < _IDLE_END, _login.absolute_expires_at), else_=_IDLE_END
        ),
        replays=0,
        retry_key_hash=bindparam("key_hash"),
        user_agent=bindparam("agent"),
        ip_address=bindparam("address"),
        client_changed=or_(
            _login.user_agent != bindparam("agent"), _login.ip_address != bindparam("address")
        ),
    )
    .returning(*TOKEN_STATE, _login.client_changed)
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
    session: Session,
    *,
    token: str,
    retry_key: str | None,
    client: Client,
    issuer: TokenIssuer,
    lifetimes: Lifetimes,
    now: datetime,
) -> IssuedTokens:
    """Spend a refresh token for new tokens (RFC 9700 section 4.14.2).

    `retry_key` is the request's Idempotency-Key. Raises one of the refresh token errors of
    `keyturn.errors`. Nothing is changed then, except that reuse has ended the login.
    """
    presented = issuer.refresh.inspect(token)
    notes.add(user=presented.user_id, login=presented.login_id)
    if presented.expired:
        refresh_trail.expired(session, presented, now)
        raise ExpiredRefreshTokenError
    key_hash = _hash_of(retry_key, presented)
    with transaction(session):
        rotated = session.execute(
            _ROTATE, _parameters(presented, key_hash, client, lifetimes, now)
        ).one_or_none()
        if rotated is not None:
            notes.add(result=ROTATED)
            if rotated.client_changed:
                refresh_trail.client_changed(session, presented, now)
            return issuer.both(rotated, now)
        login = session.execute(_READ_TO_CHANGE, _key(presented)).one_or_none()
        verdict = judge(login, presented.generation, key_hash, lifetimes.grace, now)
        if verdict in REFUSALS:
            refresh_trail.refused(session, verdict, presented, login, now)
        if verdict is Verdict.REUSED:
            stolen = RefreshToken.id == presented.login_id
            sessions.end_logins(session, stolen, reason=REUSED, now=now)
        elif verdict in (Verdict.SUCCESSOR, Verdict.ACCESS_ONLY):
            session.execute(_COUNT_REPLAY, {"sid": presented.login_id})
            notes.add(result=verdict.value)
            refresh_trail.replayed(session, presented, login, client, now)
            make = issuer.both if verdict is Verdict.SUCCESSOR else issuer.access_only
            return make(login, now)  # type: ignore[arg-type] # a Row has the columns
    # Only now: an exception inside of the transaction would undo the revocation.
    raise REFUSALS[verdict]


def foresee(
    session: Session, presented: PresentedToken, lifetimes: Lifetimes, now: datetime
) -> Verdict | None:
    """Return what a refresh without a key would get now, None for a rotation; change nothing."""
    if presented.expired:
        return Verdict.EXPIRED
    login = session.execute(_READ, _key(presented)).one_or_none()
    verdict = judge(login, presented.generation, None, lifetimes.grace, now)
    current = login is not None and login.generation == presented.generation
    return None if current and verdict is Verdict.INVALID else verdict


def _hash_of(retry_key: str | None, presented: PresentedToken) -> str | None:
    if retry_key is None:
        return None
    return hashlib.sha256(f"{presented.login_id}:{retry_key}".encode()).hexdigest()


def _key(presented: PresentedToken) -> dict[str, Any]:
    return {"sid": presented.login_id, "sub": presented.user_id}


def _parameters(
    presented: PresentedToken,
    key_hash: str | None,
    client: Client,
    lifetimes: Lifetimes,
    now: datetime,
) -> dict[str, Any]:
    return {
        **_key(presented),
        "gen": presented.generation,
        "at": now,
        "idle_end": now + lifetimes.idle,
        "key_hash": key_hash,
        "agent": client.user_agent,
        "address": client.ip_address,
    }
