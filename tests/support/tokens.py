"""Tokens of every kind, well made or broken: signed piece by piece, as no library would."""

import json
import os
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK
from jwt.algorithms import get_default_algorithms
from jwt.utils import base64url_decode, base64url_encode


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")


def encoded(part: Any) -> str:
    """A part of a token: bytes as they are, anything else as JSON."""
    octets = part if isinstance(part, bytes) else as_json(part)
    return base64url_encode(octets).decode("ascii")


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {known: value for known, value in members.items() if known != name}


class SigningKey:
    """A private key, or a shared secret, for one algorithm. It signs whatever it is given."""

    def __init__(self, jwk: dict[str, Any], public: dict[str, Any]) -> None:
        self.algorithm: str = jwk["alg"]
        self.kid: str = jwk["kid"]
        self.public = public
        self._jwk = jwk
        self._key = PyJWK(jwk)

    def sign(self, header: Any, payload: Any) -> str:
        signed = f"{encoded(header)}.{encoded(payload)}"
        return f"{signed}.{encoded(self.signature(signed))}"

    def signature(self, signed: str) -> bytes:
        return self._key.Algorithm.sign(signed.encode("ascii"), self._key.key)

    def for_algorithm(self, algorithm: str) -> "SigningKey":
        """The same key, used for another algorithm."""
        return SigningKey({**self._jwk, "alg": algorithm}, self.public)

    def leaked(self) -> "SigningKey":
        """The same key, its private part taken for its public one."""
        return SigningKey(self._jwk, self._jwk)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.public]}


def shared_secret(secret: bytes, kid: str, algorithm: str = "HS256") -> SigningKey:
    k = base64url_encode(secret).decode("ascii")
    jwk = {"kty": "oct", "k": k, "kid": kid, "alg": algorithm}
    return SigningKey(jwk, jwk)


_NEW_KEYS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


def key_pair(algorithm: str, kid: str = "first") -> SigningKey:
    return key_of(_NEW_KEYS[algorithm](), algorithm, kid)


def key_of(private: Any, algorithm: str, kid: str) -> SigningKey:
    """A private key of cryptography's, to sign with."""
    named = {"kid": kid, "alg": algorithm, "use": "sig"}
    to_jwk: Callable[..., dict[str, Any]] = get_default_algorithms()[algorithm].to_jwk
    public = to_jwk(private.public_key(), as_dict=True)
    return SigningKey({**to_jwk(private, as_dict=True), **named}, {**public, **named})


@cache
def known_key(algorithm: str) -> SigningKey:
    """One key for each algorithm, made once: for tests that only need any."""
    return shared_secret(os.urandom(48), "first") if algorithm == "HS256" else key_pair(algorithm)


def encodings_of(public: dict[str, Any]) -> list[bytes]:
    """What a public key may look like to somebody who takes it for a shared secret."""
    key = PyJWK(public).key
    forms = [
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.OpenSSH, PublicFormat.OpenSSH),
        *_OWN_FORMS[public["kty"]],
    ]
    encodings = [key.public_bytes(*form) for form in forms]
    pem = encodings[0]
    numbers = [base64url_decode(public[name]) for name in ("x", "n") if name in public]
    jwks = [as_json(document) for document in (public, {"keys": [public]}, [public])]
    return [*encodings, pem.strip(), pem.replace(b"\n", b"\r\n"), *numbers, *jwks]


_OWN_FORMS = {
    "EC": [
        (Encoding.X962, PublicFormat.UncompressedPoint),
        (Encoding.X962, PublicFormat.CompressedPoint),
    ],
    "OKP": [(Encoding.Raw, PublicFormat.Raw)],
    "RSA": [(Encoding.PEM, PublicFormat.PKCS1), (Encoding.DER, PublicFormat.PKCS1)],
}
