"""Token introspection (RFC 7662): whether an access token is good, and what it says."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keyturn.auth.guard import live_principal
from keyturn.bearer.errors import BearerError
from keyturn.tokens.access import AccessClaims, AccessTokens

INACTIVE: Mapping[str, Any] = {"active": False}  # and nothing else (section 2.2)


def introspect(token: str, *, access: AccessTokens, now: datetime) -> Mapping[str, Any]:
    """Return what a service may know of a token: its claims, if it is good and its login lives.

    A refresh token is inactive: no service has any use for one, and one that takes every active
    token for a bearer's must not let it in (section 4).
    """
    try:
        claims = access.guard.verify(token)
        live_principal(AccessClaims.of(claims), now)
    except BearerError:
        return INACTIVE
    return {**claims, "active": True, "token_type": "Bearer"}
