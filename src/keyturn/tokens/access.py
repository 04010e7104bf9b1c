"""Access tokens: short-lived JWTs of RFC 9068 that other services may check by themselves."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self
from uuid import UUID

from keyturn.bearer.claims import ACCESS_TOKEN_TYPE
from keyturn.bearer.errors import InvalidTokenError
from keyturn.bearer.guard import Guard
from keyturn.tokens.signing import Signer

_uuid = lru_cache(maxsize=4096)(UUID)  # those who ask come back, and with the same login


class AccessClaims(NamedTuple):
    """What an access token tells: whose it is and of which login."""

    user_id: UUID
    login_id: UUID

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Self:
        """Read them of verified claims; raises `InvalidTokenError` where they are not Keyturn's."""
        try:
            return cls(_uuid(claims["sub"]), _uuid(claims["sid"]))
        except ValueError as error:
            raise InvalidTokenError from error


class AccessTokens:
    """Issues access tokens, and checks them with the guard that any service can use.

    `lifetime` and `leeway` are seconds.
    """

    def __init__(
        self, signer: Signer, *, issuer: str, audience: str, lifetime: int, leeway: int
    ) -> None:
        self._signer = signer
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self.guard = Guard(issuer=issuer, audience=audience, keys=signer.keys, leeway=leeway)

    def issue(
        self, user_id: UUID, login_id: UUID, *, now: datetime, ends_at: datetime
    ) -> tuple[str, int]:
        """Return a new token and its lifetime in seconds, which never passes the login's end."""
        issued_at = int(now.timestamp())
        expires_at = min(issued_at + self._lifetime, int(ends_at.timestamp()))
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": str(login_id),
            "jti": secrets.token_urlsafe(16),
            "iat": issued_at,
            "exp": expires_at,
        }
        return self._signer.sign(claims, typ=ACCESS_TOKEN_TYPE), expires_at - issued_at
