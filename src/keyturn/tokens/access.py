"""Access tokens: short-lived JWTs of RFC 9068 that other services may check by themselves."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.bearer.claims import ACCESS_TOKEN_TYPE, access_rules
from keyturn.bearer.errors import InvalidTokenError
from keyturn.bearer.verifier import Verifier
from keyturn.tokens.signing import Signer


@dataclass(frozen=True)
class AccessClaims:
    """What an access token tells: whose it is and of which login."""

    user_id: UUID
    login_id: UUID


class AccessTokens:
    """Issues and verifies access tokens. `lifetime` and `leeway` are seconds."""

    def __init__(
        self, signer: Signer, *, issuer: str, audience: str, lifetime: int, leeway: int
    ) -> None:
        self._signer = signer
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._verifier = Verifier(signer.keys, access_rules(issuer, audience, leeway))

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

    def verify(self, token: str) -> AccessClaims:
        """Return what a token that holds tells; raises a `BearerError` for any other."""
        claims = self._verifier.verify(token)
        try:
            return AccessClaims(UUID(claims["sub"]), UUID(claims["sid"]))
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidTokenError from error
