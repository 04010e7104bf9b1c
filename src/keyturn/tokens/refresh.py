"""Refresh tokens: JWTs only Keyturn reads, made of nothing but their row in the database.

The same generation of the same login always yields the same bytes, so a repeated answer needs no
stored token, a copy of the database lets nobody forge one, and a forged one costs no query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.bearer.claims import TokenRules
from keyturn.bearer.errors import BearerError, ExpiredTokenError
from keyturn.bearer.verifier import Verifier
from keyturn.errors import ExpiredRefreshTokenError, InvalidRefreshTokenError
from keyturn.tokens.signing import HmacSigner

CLAIMS = ("iss", "sub", "sid", "gen", "iat", "exp")


@dataclass(frozen=True)
class RefreshClaims:
    """One generation of one login. `issued_at` and `expires_at` are the row's own times."""

    user_id: UUID
    login_id: UUID
    generation: int
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class PresentedToken:
    """What a client's refresh token claims, its signature checked."""

    user_id: UUID
    login_id: UUID
    generation: int
    expired: bool = False


class RefreshTokens:
    """Writes and reads refresh tokens under a secret of their own."""

    TYPE = "rt+jwt"

    def __init__(self, secret: bytes, *, issuer: str) -> None:
        self._signer = HmacSigner(secret)
        self._issuer = issuer
        # The row decides whether a login lives. `iat` is not checked, so that a clock that is set
        # back logs nobody out.
        rules = TokenRules(self.TYPE, issuer, None, CLAIMS, check_issued_at=False)
        # Each is shown once, as a rule.
        self._verifier = Verifier(self._signer.keys, rules, remembered=0)

    def encode(self, claims: RefreshClaims) -> str:
        """Return the token of this generation, always the same bytes."""
        payload: dict[str, Any] = {
            "iss": self._issuer,
            "sub": str(claims.user_id),
            "sid": str(claims.login_id),
            "gen": claims.generation,
            "iat": int(claims.issued_at.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
        }
        return self._signer.sign(payload, typ=self.TYPE)

    def decode(self, token: str) -> PresentedToken:
        """Return what the token claims.

        Raises `ExpiredRefreshTokenError` or `InvalidRefreshTokenError`, without a query.
        """
        presented = self.inspect(token)
        if presented.expired:
            raise ExpiredRefreshTokenError
        return presented

    def inspect(self, token: str) -> PresentedToken:
        """Return what the token claims, even if its time is over.

        Raises `InvalidRefreshTokenError`, without a query.
        """
        try:
            claims, expired = self._verify(token)
            return PresentedToken(
                UUID(claims["sub"]), UUID(claims["sid"]), int(claims["gen"]), expired
            )
        except (BearerError, AttributeError, TypeError, ValueError) as error:
            raise InvalidRefreshTokenError from error

    def _verify(self, token: str) -> tuple[Mapping[str, Any], bool]:
        try:
            return self._verifier.verify(token), False
        except ExpiredTokenError as error:
            return error.claims, True
