"""Who a browser's visit to the page is from: its cookie is a refresh token, turned at every visit.

So the page knows logins as the API does, reuse of a copied cookie is found in the same way, and
"last used" is true.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from keyturn import clock
from keyturn.auth import rotation
from keyturn.auth.guard import Principal, live_principal
from keyturn.auth.routes import client
from keyturn.auth.transport import CookieTransport
from keyturn.database import db
from keyturn.errors import MissingRefreshTokenError, UnauthenticatedError
from keyturn.http import cookies
from keyturn.services import services

TRANSPORT = CookieTransport(cookies.ACCOUNT, cookies.ACCOUNT_DEVICE)

# One for all visits: a visit that was broken off, and so never told the browser its next token, is
# answered again for as long as that one is unused.
_RETRY_KEY = "account"


def visitor_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a view by the page's cookie; it gets the visitor as its keyword argument `principal`.

    Raises an `UnauthenticatedError` where there is no cookie, or its login is over; then the
    browser forgets it.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            principal = _visitor()
        except UnauthenticatedError:
            TRANSPORT.take_back()
            raise
        return view(*args, principal=principal, **kwargs)

    guarded.access = "visitor"  # type: ignore[attr-defined]
    return guarded


def _visitor() -> Principal:
    token = cookies.ACCOUNT.sent()
    if token is None:
        raise MissingRefreshTokenError
    known, now = services(), clock.now()
    tokens = rotation.refresh(
        db.session,
        token=token,
        retry_key=_RETRY_KEY,
        client=client(),
        issuer=known.issuer,
        lifetimes=known.lifetimes,
        now=now,
    )
    TRANSPORT.hand_out(tokens)
    return live_principal(known.tokens.refresh.decode(token), now)
