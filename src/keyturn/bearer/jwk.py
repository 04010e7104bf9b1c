"""Loads JSON Web Keys (RFC 7517) to verify with: strictly, and each for exactly one algorithm."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jwt import PyJWK
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode, base64url_encode


@dataclass(frozen=True)
class Algorithm:
    """Which keys a signature algorithm takes: type, curve, and the fewest bits."""

    kty: str
    curve: str | None = None
    bits: int = 0


# RFC 7518 section 3.1 and RFC 8037, with the smallest keys of sections 3.2, 3.3 and 3.5.
ALGORITHMS: Mapping[str, Algorithm] = {
    "HS256": Algorithm("oct", bits=256),
    "HS384": Algorithm("oct", bits=384),
    "HS512": Algorithm("oct", bits=512),
    **dict.fromkeys(
        ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), Algorithm("RSA", bits=2048)
    ),
    "ES256": Algorithm("EC", "P-256"),
    "ES384": Algorithm("EC", "P-384"),
    "ES512": Algorithm("EC", "P-521"),
    "EdDSA": Algorithm("OKP", "Ed25519"),
}
_MISSPELT = {"ES521": "ES512"}  # after its curve; some issuers' keys have it, and RFC 7520's do

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_LEAST_EXPONENT = 65537  # FIPS 186-5 section 5.1
_NUMBERS = ("n", "e", "x", "y", "k")


class UnfitKeyError(ValueError):
    """A key set that must not be trusted; the message says which key and why."""


def load(document: Any, algorithms: Collection[str]) -> dict[str, PyJWK]:
    """Return the keys of a JWK Set by `kid`, each bound to one of the allowed algorithms.

    A key for another purpose or algorithm is passed over (RFC 7517 section 5), so that an issuer
    can add one. Raises `UnfitKeyError` for a set with no key left, and for one with a key that is
    weak or malformed, does not fit its algorithm or has a private part, with two keys of one `kid`,
    or with shared secrets among public keys (RFC 8725 sections 3.1, 3.4 and 3.5).
    """
    keys: dict[str, PyJWK] = {}
    for jwk in _members(document):
        name = _algorithm(jwk, algorithms)
        if name is None:
            continue
        kid = _text(jwk, "kid")
        if kid in keys:
            raise UnfitKeyError(f"two keys have the kid {kid!r}")
        keys[kid] = _load_one(jwk, name)
    if not keys:
        raise UnfitKeyError("no key of an allowed algorithm")
    return keys


def _members(document: Any) -> list[dict[str, Any]]:
    jwks = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(jwks, list) or not all(isinstance(jwk, dict) for jwk in jwks):
        raise UnfitKeyError("not a JWK Set")
    types = [_text(jwk, "kty") for jwk in jwks]
    if "oct" in types and set(types) != {"oct"}:
        raise UnfitKeyError("shared secrets among public keys")
    return jwks


def _algorithm(jwk: Mapping[str, Any], allowed: Collection[str]) -> str | None:
    """Return the one algorithm of a key, or None where it is not one to verify with here."""
    if not _is_to_verify(jwk):
        return None
    fitting = [name for name in allowed if _fits(jwk, ALGORITHMS[name])]
    if "alg" not in jwk:
        if len(fitting) > 1:
            raise UnfitKeyError(f"a key does not say which of {', '.join(fitting)} it is for")
        return fitting[0] if fitting else None
    named = _text(jwk, "alg")
    named = _MISSPELT.get(named, named)
    if named in allowed and named not in fitting:
        raise UnfitKeyError(f"a key of another type says it is for {named}")
    return named if named in fitting else None


def _is_to_verify(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )


def _fits(jwk: Mapping[str, Any], algorithm: Algorithm) -> bool:
    return (jwk.get("kty"), jwk.get("crv")) == (algorithm.kty, algorithm.curve)


def _load_one(jwk: dict[str, Any], name: str) -> PyJWK:
    if not _PRIVATE.isdisjoint(jwk):
        raise UnfitKeyError("a private key; only its public part belongs here")
    numbers = {member: _octets(jwk, member) for member in _NUMBERS if member in jwk}
    try:
        key = PyJWK(jwk, name)
        key.Algorithm.prepare_key(key.key)  # refuses a public key that is used as a secret
    except (PyJWTError, KeyError, TypeError, ValueError) as error:
        raise UnfitKeyError(f"not a key for {name}") from error
    _check_strength(ALGORITHMS[name], numbers)
    return key


def _check_strength(algorithm: Algorithm, numbers: Mapping[str, bytes]) -> None:
    if algorithm.kty == "oct" and len(numbers["k"]) * 8 < algorithm.bits:
        raise UnfitKeyError(f"a secret of fewer than {algorithm.bits} bits")
    if algorithm.kty == "RSA":
        modulus, exponent = (int.from_bytes(numbers[member], "big") for member in ("n", "e"))
        if modulus.bit_length() < algorithm.bits:
            raise UnfitKeyError(f"an RSA key of fewer than {algorithm.bits} bits")
        if exponent < _LEAST_EXPONENT:
            raise UnfitKeyError(f"an RSA key with a public exponent below {_LEAST_EXPONENT}")
        if _is_roca(modulus):
            raise UnfitKeyError("an RSA key that can be factored (CVE-2017-15361)")


# Keys of some smart cards are made of primes k * M + 65537**a mod M, M the product of small
# primes; so the modulus, too, is a power of 65537 modulo each of them. One in 2**27 others is.
_POWERS = {
    prime: {pow(65537, exponent, prime) for exponent in range(prime)}
    for prime in range(3, 168)
    if all(prime % divisor for divisor in range(2, prime))
}


def _is_roca(modulus: int) -> bool:
    return all(modulus % prime in powers for prime, powers in _POWERS.items())


def _text(jwk: Mapping[str, Any], member: str) -> str:
    value = jwk.get(member)
    if not isinstance(value, str) or not value:
        raise UnfitKeyError(f"a key has no {member}")
    return value


def _octets(jwk: Mapping[str, Any], member: str) -> bytes:
    """Return a base64url member, refusing any spelling but the one of RFC 7515 section 2."""
    text = _text(jwk, member)
    try:
        octets = base64url_decode(text)
    except ValueError as error:
        raise UnfitKeyError(f"{member} is not base64url") from error
    if base64url_encode(octets).decode() != text:
        raise UnfitKeyError(f"{member} is not base64url")
    return octets
