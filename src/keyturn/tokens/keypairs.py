"""Key pairs, public parts as JSON Web Keys (RFC 7517), private parts sealed in the database."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import get_default_algorithms
from jwt.utils import base64url_encode

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

# Ed25519 signs under its older name, EdDSA (RFC 8037): the one verifiers know (RFC 9864 has the
# new one). A key of ours has this one curve, so the name leaves nothing open.
_GENERATORS: dict[str, Callable[[], PrivateKey]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
}

# RFC 7638 section 3.2, RFC 8037 section 2: what makes a public key, and its thumbprint.
_PUBLIC_MEMBERS = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}


@dataclass(frozen=True)
class KeyPair:
    """A new key pair. `public` has the members that make the key, and no other."""

    kid: str
    algorithm: str
    public: Mapping[str, str]
    private: PrivateKey

    @classmethod
    def generate(cls, algorithm: str) -> "KeyPair":
        """Make a pair for ES256, EdDSA (Ed25519) or RS256 (3072 bits)."""
        private = _GENERATORS[algorithm]()
        jwk = get_default_algorithms()[algorithm].to_jwk(private.public_key(), as_dict=True)
        public = {member: jwk[member] for member in _PUBLIC_MEMBERS[jwk["kty"]]}
        return cls(thumbprint(public), algorithm, public, private)


def thumbprint(public: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint (RFC 7638) of a key that has only the members that make it."""
    canonical = json.dumps(public, sort_keys=True, separators=(",", ":"))
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()


class SealBrokenError(Exception):
    """What was sealed under another secret, or for another key, does not open."""


class Vault:
    """Seals private keys: AES-256-GCM, each bound to its own `kid`."""

    _INFO = b"keyturn: private signing keys, AES-256-GCM"
    _NONCE = 12  # bytes; NIST SP 800-38D section 8.2: random ones do for 2**32 keys

    def __init__(self, secret: bytes) -> None:
        derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=self._INFO)  # RFC 5869
        self._cipher = AESGCM(derivation.derive(secret))

    def seal(self, kid: str, private: PrivateKey) -> bytes:
        """Return a private key encrypted."""
        nonce = secrets.token_bytes(self._NONCE)
        plain = private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return nonce + self._cipher.encrypt(nonce, plain, kid.encode())

    def opens(self, kid: str, sealed: bytes | None) -> bool:
        """Return whether this secret opens a private key; an erased one it does not."""
        try:
            self.open(kid, sealed or b"")
        except SealBrokenError:
            return False
        return True

    def open(self, kid: str, sealed: bytes) -> PrivateKey:
        """Return a private key. Raises `SealBrokenError` where this secret does not open it."""
        nonce, encrypted = sealed[: self._NONCE], sealed[self._NONCE :]
        try:
            plain = self._cipher.decrypt(nonce, encrypted, kid.encode())
        except (InvalidTag, ValueError) as error:  # ValueError: too short for a nonce
            raise SealBrokenError from error
        # Authentic, as it opened; to prove its primes anew would cost half a second.
        return serialization.load_der_private_key(  # type: ignore[return-value]
            plain, password=None, unsafe_skip_rsa_key_validation=True
        )
