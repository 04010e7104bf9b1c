"""The guards of Keyturn's own routes: a token that holds, and mostly of a login that lives.

One query checks the login and loads its user, so logout takes effect there at once, and not only
when the access token expires.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, NamedTuple
from uuid import UUID

from flask import request
from sqlalchemy import bindparam, select

from keyturn import clock, notes
from keyturn.auth.models import RefreshToken, is_live
from keyturn.bearer.errors import (
    ExpiredTokenError,
    InvalidTokenError,
    MissingTokenError,
    RevokedTokenError,
)
from keyturn.database import UtcDateTime
from keyturn.http.contract import promise
from keyturn.services import services
from keyturn.single import look_up
from keyturn.tokens.access import AccessClaims
from keyturn.tokens.refresh import PresentedToken
from keyturn.users.models import User


class Principal(NamedTuple):
    """Who asks, and with which login."""

    id: UUID
    name: str
    email: str
    created_at: datetime
    login_id: UUID


LIVE_PRINCIPAL = (
    select(User.name, User.email, User.created_at)
    .join(RefreshToken, RefreshToken.user_id == User.id)
    .where(
        RefreshToken.id == bindparam("sid"),
        User.id == bindparam("sub"),
        User.disabled_at.is_(None),
        is_live(RefreshToken, bindparam("at", type_=UtcDateTime)),
    )
)


def token_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a view by the token alone, which it gets as its keyword argument `claims`; no query.

    Raises a `BearerError` where there is no token or it does not hold.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        claims = services().issuer.access.guard.check(request.headers.get("Authorization"))
        return view(*args, claims=AccessClaims.of(claims), **kwargs)

    guarded.access = "bearer"  # type: ignore[attr-defined]
    return promise(guarded, MissingTokenError, InvalidTokenError, ExpiredTokenError)


def bearer_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a view, which gets the caller as its keyword argument `principal`.

    Raises a `BearerError` where there is no token, it does not hold, or its login is over.
    """

    @wraps(view)
    def guarded(*args: Any, claims: AccessClaims, **kwargs: Any) -> Any:
        return view(*args, principal=live_principal(claims, clock.now()), **kwargs)

    return token_required(promise(guarded, RevokedTokenError))


def live_principal(claims: AccessClaims | PresentedToken, now: datetime) -> Principal:
    """Return whose login a checked token is of.

    Raises `RevokedTokenError` where the login or its user has no right.
    """
    notes.add(user=claims.user_id, login=claims.login_id)
    row = look_up(LIVE_PRINCIPAL, {"sid": claims.login_id, "sub": claims.user_id, "at": now})
    if row is None:
        raise RevokedTokenError
    return Principal(claims.user_id, row.name, row.email, row.created_at, claims.login_id)
