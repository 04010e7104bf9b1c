"""The claims a token of one kind must have (RFC 7519 section 4, RFC 8725 sections 3.8 to 3.12)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn.bearer.errors import ExpiredTokenError, InvalidTokenError

_DATES = ("exp", "iat", "nbf")
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1
_STRINGS = ("sub", "sid", "jti", "scope")


@dataclass(frozen=True)
class TokenRules:
    """What a token of one kind must look like.

    `typ` is compared exactly (RFC 8725 section 3.11), and so are `issuer` and `audience`: a list
    is neither. `audience` None means that this kind of token has none. `claims` must all be there.
    `leeway` is the clock difference allowed, in seconds. `check_issued_at` refuses a token issued
    in the future.
    """

    typ: str
    issuer: str
    audience: str | None
    claims: tuple[str, ...]
    leeway: int = 0
    check_issued_at: bool = True

    def check_form(self, claims: Mapping[str, Any]) -> None:
        """Refuse claims that break these rules at any time. Raises `InvalidTokenError`."""
        if not (self._are_complete(claims) and self._are_ours(claims)):
            raise InvalidTokenError

    def check_time(self, claims: Mapping[str, Any], now: float) -> None:
        """Refuse claims of a right form that do not hold at `now`, in seconds since 1970.

        Raises `ExpiredTokenError` where their time is over, `InvalidTokenError` where it has not
        begun.
        """
        latest = now + self.leeway
        if (self.check_issued_at and claims["iat"] > latest) or claims.get("nbf", now) > latest:
            raise InvalidTokenError
        if claims["exp"] <= now - self.leeway:
            raise ExpiredTokenError(claims)

    def _are_complete(self, claims: Mapping[str, Any]) -> bool:
        return (
            all(name in claims for name in self.claims)
            and all(isinstance(claims[name], str) for name in _STRINGS if name in claims)
            and all(_is_date(claims[name]) for name in _DATES if name in claims)
        )

    def _are_ours(self, claims: Mapping[str, Any]) -> bool:
        return claims["iss"] == self.issuer and claims.get("aud") == self.audience


def _is_date(value: Any) -> bool:
    """Tell whether it is a NumericDate, which "1" and true are not (RFC 7519 section 2)."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def access_rules(issuer: str, audience: str, leeway: int) -> TokenRules:
    """Return what Keyturn's access tokens look like (RFC 9068 section 2, and `sid`).

    Its `client_id` is not asked for: it has no counterpart in Keyturn.
    """
    claims = ("iss", "aud", "sub", "sid", "jti", "iat", "exp")
    return TokenRules(ACCESS_TOKEN_TYPE, issuer, audience, claims, leeway)
