"""Logging in: a password for a pair of tokens.

Statements are built once and of tables, as in `keyturn.auth.rotation`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from keyturn import notes
from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.auth import sessions
from keyturn.auth.models import LOGINS, TOKEN_STATE
from keyturn.auth.tokens import Client, IssuedTokens, Lifetimes, LoginState, TokenIssuer
from keyturn.database import transaction
from keyturn.errors import InvalidCredentialsError
from keyturn.passwords import Passwords
from keyturn.single import Over, look_up, run, writing
from keyturn.throttle import attempts
from keyturn.throttle.budgets import Budgets
from keyturn.users.models import USERS

PURGED_WITH_A_LOGIN = 10  # more than one, so that the dead cannot outgrow the living

# Why a login failed, which the audit trail tells and the answer does not.
UNKNOWN_USER = "unknown_user"
WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a reason
DISABLED = "disabled"

_login, _user = LOGINS.c, USERS.c

_FIND = select(_user.id, _user.password_hash, _user.disabled_at).where(
    _user.email == bindparam("email")
)

_COLUMNS = (
    _login.id,
    _login.user_id,
    _login.generation,
    _login.created_at,
    _login.rotated_at,
    _login.idle_expires_at,
    _login.absolute_expires_at,
    _login.user_agent,
    _login.ip_address,
    _login.replays,
    _login.client_changed,
)

# While the hash was computed, the password may have been changed or the user disabled: then there
# is nothing to insert.
_BEGIN = (
    insert(LOGINS)
    .from_select(
        [column.name for column in _COLUMNS],
        select(*(bindparam(column.name, type_=column.type) for column in _COLUMNS))
        .where(
            _user.id == bindparam("user_id"),
            _user.password_hash == bindparam("checked_hash"),
            _user.disabled_at.is_(None),
        )
        .with_for_update(),
    )
    .returning(*TOKEN_STATE)
)

_REHASH = (
    update(USERS).where(_user.id == bindparam("of")).values(password_hash=bindparam("new_hash"))
)


class _Found(Protocol):
    """What `_FIND` finds."""

    id: UUID
    password_hash: str
    disabled_at: datetime | None


@notes.event("login")
def log_in(
    session: Callable[[], Session],
    *,
    email: str,
    password: str,
    client: Client,
    device_token: str | None,
    passwords: Passwords,
    budgets: Budgets,
    issuer: TokenIssuer,
    lifetimes: Lifetimes,
    retention: timedelta,
    audit_retention: timedelta,
    now: datetime,
    replaces: str | None = None,
) -> IssuedTokens:
    """Check a password and begin a login. `email` is in its one form.

    The login of the refresh token it `replaces` ends, whoever's it is (ASVS 7.2.4): that alone
    needs a session, which `session` gives.
    Raises `InvalidCredentialsError` for a wrong password, an unknown e-mail and a disabled user
    alike, after the same work, and `TooManyAttemptsError`. The attempt is claimed before the
    password is checked, and given back where the login begins. The hashing happens outside of any
    transaction.
    """
    replaced = None if replaces is None else sessions.read(replaces, issuer)
    user: _Found | None = look_up(_FIND, {"email": email})
    if user is not None:
        notes.add(user=user.id)
    device = issuer.device.device_of(device_token, user.id if user else None)
    claims = budgets.of_login(email, client.ip_address, device)
    with attempts.claimed(claims, now=now):
        verdict = passwords.verify(password, user.password_hash if user else None)
    if user is None or user.disabled_at is not None or not verdict.right:
        _record_failure(user, audit_retention, now)
        raise InvalidCredentialsError
    with writing() if replaced is None else transaction(session()) as over:
        login = _begin(over, user, client, lifetimes, now)
        if verdict.new_hash is not None:
            run(_REHASH, {"of": user.id, "new_hash": verdict.new_hash}, over)
        sessions.delete_dead(over, before=now - retention, limit=PURGED_WITH_A_LOGIN)
        attempts.give_back(over, claims)
        notes.add(login=login.id)
        trail.record(over, Kind.LOGIN, now=now, user_id=user.id, login_id=login.id)
        _sweep_trail(over, audit_retention, now)
        if replaced is not None and isinstance(over, Session):
            which = LOGINS.c.id == replaced.login_id
            sessions.end_logins(over, which, reason=sessions.REPLACED, now=now)
        return issuer.for_device(login, device or uuid4(), now)


def _record_failure(user: _Found | None, audit_retention: timedelta, now: datetime) -> None:
    with writing() as connection:
        trail.record(
            connection,
            Kind.LOGIN_FAILED,
            now=now,
            reason=_why_not(user),
            user_id=user.id if user else None,
        )
        _sweep_trail(connection, audit_retention, now)


def _why_not(user: _Found | None) -> str:
    if user is None:
        return UNKNOWN_USER
    return WRONG_PASSWORD if user.disabled_at is None else DISABLED


def _sweep_trail(over: Over, audit_retention: timedelta, now: datetime) -> None:
    trail.delete_old(over, before=now - audit_retention, limit=trail.PURGED_WITH_A_LOGIN)


def _begin(
    over: Over,
    user: _Found,
    client: Client,
    lifetimes: Lifetimes,
    now: datetime,
) -> LoginState:
    ends_at = now + lifetimes.absolute
    login = {
        "id": uuid4(),
        "user_id": user.id,
        "generation": 0,
        "created_at": now,
        "rotated_at": now,
        "idle_expires_at": min(now + lifetimes.idle, ends_at),
        "absolute_expires_at": ends_at,
        "user_agent": client.user_agent,
        "ip_address": client.ip_address,
        "replays": 0,
        "client_changed": False,
    }
    begun: LoginState | None = look_up(_BEGIN, {**login, "checked_hash": user.password_hash}, over)
    if begun is None:
        raise InvalidCredentialsError
    return begun
