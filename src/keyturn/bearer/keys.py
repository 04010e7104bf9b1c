"""Keys to verify with, each bound to one algorithm (RFC 8725 section 3.1)."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from jwt import PyJWK

from keyturn.bearer import jwk

# What Keyturn signs with. Others of `jwk.ALGORITHMS` can be allowed by name.
PUBLIC_KEY_ALGORITHMS = ("ES256", "EdDSA", "RS256")


class KeySet(Protocol):
    """Where a verifier looks up the key that a token's `kid` names."""

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of exactly this id, or None."""


class StaticKeys:
    """A key set that never changes. `kid` is looked up, never interpreted (RFC 7515, 4.1.4).

    `jwks` is a JWK Set (RFC 7517 section 5). Raises `UnfitKeyError` for a weak or odd one.
    """

    def __init__(
        self, jwks: Mapping[str, Any], *, algorithms: Collection[str] = PUBLIC_KEY_ALGORITHMS
    ) -> None:
        self._keys = jwk.load(jwks, algorithms)

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of exactly this id, or None."""
        return self._keys.get(kid)
