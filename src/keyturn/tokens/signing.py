"""How a token gets its signature, and the keys that check it.

`Signer` is the seam: the HMAC of one secret here, key pairs that rotate in
`keyturn.tokens.keyring`.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import jwt
from jwt.utils import base64url_encode

from keyturn.bearer.keys import KeySet, StaticKeys


@dataclass(frozen=True)
class PublicKeys:
    """What others may know of a signer's keys: a JWK Set as JSON text, and the algorithms."""

    document: str
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, jwks: Iterable[Mapping[str, str]], *algorithms: str) -> "PublicKeys":
        """Return a set of keys with their algorithms, and of more algorithms that have no key."""
        keys = list(jwks)
        used = {key["alg"] for key in keys}.union(algorithms)
        return cls(json.dumps({"keys": keys}), tuple(sorted(used)))


class Signer(Protocol):
    """Signs claims under its current key, and knows the keys that verify what it signed."""

    @property
    def keys(self) -> KeySet:
        """The keys that verify."""

    @property
    def public(self) -> PublicKeys:
        """What others may know of them."""

    @property
    def fault(self) -> str | None:
        """Why tokens cannot be signed, now or when the next key's turn comes; None if they can."""

    def refresh(self, now: datetime) -> None:
        """Take over what was done to the keys elsewhere. Not to be called in a transaction.

        Raises `UnavailableError` where that cannot be known.
        """

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return the claims as a signed JWT whose header carries `typ` and the key's `kid`."""


class HmacSigner:
    """Signs with one secret: HS256 (RFC 7518 section 3.2), for a service that trusts itself."""

    ALGORITHM = "HS256"

    def __init__(self, secret: bytes) -> None:
        # A keyed digest, so that `kid` names the secret without helping to guess it.
        self._kid = hmac.new(secret, b"keyturn kid", hashlib.sha256).hexdigest()[:16]
        encoded = base64url_encode(secret).decode("ascii")
        key = {"kty": "oct", "k": encoded, "kid": self._kid, "alg": self.ALGORITHM}
        self._key = jwt.PyJWK(key).key
        self.keys: KeySet = StaticKeys({"keys": [key]}, algorithms=[self.ALGORITHM])
        self.public = PublicKeys.of([], self.ALGORITHM)  # the secret is nobody else's
        self.fault: str | None = None

    def refresh(self, now: datetime) -> None:
        """Do nothing: the secret stays what it is."""

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return the claims as a signed JWT whose header carries `typ` and the key's `kid`."""
        return signed(claims, typ=typ, kid=self._kid, algorithm=self.ALGORITHM, key=self._key)


def signed(claims: Mapping[str, Any], *, typ: str, kid: str, algorithm: str, key: Any) -> str:
    """Return the claims as a signed JWT (RFC 7519 section 7.1), byte by byte as PyJWT's `encode`.

    That prepares the key and writes the header again for each token; `key` is prepared for PyJWT's
    algorithm of that name.
    """
    payload = json.dumps(claims, separators=(",", ":")).encode()
    signing_input = b".".join((_header(algorithm, kid, typ), base64url_encode(payload)))
    signature = jwt.get_algorithm_by_name(algorithm).sign(signing_input, key)
    return b".".join((signing_input, base64url_encode(signature))).decode("ascii")


@lru_cache(maxsize=64)
def _header(algorithm: str, kid: str, typ: str) -> bytes:
    members = {"alg": algorithm, "kid": kid, "typ": typ}
    return base64url_encode(json.dumps(members, separators=(",", ":")).encode())
