"""How a token gets its signature, and the keys that check it.

`Signer` is the seam: the HMAC of one secret today, key pairs that rotate behind the same two
methods.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Protocol

import jwt

from keyturn.bearer.keys import KeySet, StaticKeys


class Signer(Protocol):
    """Signs claims under its current key, and knows the keys that verify what it signed."""

    @property
    def keys(self) -> KeySet:
        """The keys that verify."""

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return the claims as a signed JWT whose header carries `typ` and the key's `kid`."""


class HmacSigner:
    """Signs with one secret: HS256 (RFC 7518 section 3.2), for a service that trusts itself."""

    ALGORITHM = "HS256"

    def __init__(self, secret: bytes) -> None:
        # A keyed digest, so that `kid` names the secret without helping to guess it.
        self._kid = hmac.new(secret, b"keyturn kid", hashlib.sha256).hexdigest()[:16]
        encoded = jwt.utils.base64url_encode(secret).decode("ascii")
        key = {"kty": "oct", "k": encoded, "kid": self._kid, "alg": self.ALGORITHM}
        self._key = jwt.PyJWK(key)
        self.keys: KeySet = StaticKeys({"keys": [key]}, algorithms=[self.ALGORITHM])

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return the claims as a signed JWT whose header carries `typ` and the key's `kid`."""
        headers = {"typ": typ, "kid": self._kid}
        return jwt.encode(dict(claims), self._key, algorithm=self.ALGORITHM, headers=headers)
