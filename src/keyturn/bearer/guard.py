"""The guard, without any framework: an Authorization header in, claims or a refusal out."""

from collections.abc import Collection, Container, Mapping
from typing import Any

from keyturn.bearer.claims import access_rules
from keyturn.bearer.errors import InsufficientScopeError, RevokedTokenError
from keyturn.bearer.header import bearer_token
from keyturn.bearer.keys import KeySet
from keyturn.bearer.verifier import Verifier


class Guard:
    """Checks access tokens of one issuer for one audience.

    `leeway` is the clock difference allowed, in seconds. `revocations` are the logins (`sid`) that
    ended before their tokens expire, as far as they are known here.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: KeySet,
        leeway: int = 5,
        revocations: Container[str] = (),
    ) -> None:
        self._verifier = Verifier(keys, access_rules(issuer, audience, leeway))
        self._revocations = revocations

    def check(self, authorization: str | None, scopes: Collection[str] = ()) -> Mapping[str, Any]:
        """Return the claims of the token in an Authorization header's value.

        `scopes` must all be in its `scope` (RFC 9068 section 2.2.3). Raises a `BearerError`.
        """
        claims = self.verify(bearer_token(authorization))
        if scopes and not set(scopes).issubset(claims.get("scope", "").split(" ")):
            raise InsufficientScopeError(scopes)
        return claims

    def verify(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token that holds. Raises a `BearerError`."""
        claims = self._verifier.verify(token)
        if claims["sid"] in self._revocations:
            raise RevokedTokenError
        return claims
