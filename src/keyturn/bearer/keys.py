"""Keys to verify with, each bound to one algorithm (RFC 8725 section 3.1)."""

from collections.abc import Mapping
from typing import Protocol

from jwt import PyJWK


class KeySet(Protocol):
    """Where a verifier looks up the key that a token's `kid` names."""

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of exactly this id, or None."""


class StaticKeys:
    """A key set that never changes. `kid` is looked up, never interpreted (RFC 7515, 4.1.4)."""

    def __init__(self, keys: Mapping[str, PyJWK]) -> None:
        self._keys = dict(keys)

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of exactly this id, or None."""
        return self._keys.get(kid)
