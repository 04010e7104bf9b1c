"""Keys are loaded strictly: weak, odd and mixed sets are refused, whoever sent them."""

import math
from typing import Any

import pytest
from jwt.utils import base64url_decode, base64url_encode

from keyturn.bearer import StaticKeys, UnfitKeyError
from keyturn.bearer.jwk import ALGORITHMS
from tests.support.tokens import encoded, key_pair, known_key, shared_secret, without

EVERY = tuple(ALGORITHMS)
SECRET = shared_secret(b"x" * 32, "secret").public


def refused(*jwks: Any, why: str, algorithms: tuple[str, ...] = EVERY) -> None:
    with pytest.raises(UnfitKeyError, match=why):
        StaticKeys({"keys": list(jwks)}, algorithms=algorithms)


def public(algorithm: str, **members: Any) -> dict[str, Any]:
    return {**known_key(algorithm).public, **members}


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "RS256", "HS256"])
def test_a_key_is_found_by_its_kid_for_its_algorithm(algorithm: str) -> None:
    keys = StaticKeys(known_key(algorithm).jwks(), algorithms=EVERY)
    found = keys.find("first")
    assert found is not None
    assert found.algorithm_name == algorithm
    assert keys.find("second") is None


@pytest.mark.parametrize("document", [{}, [], None, "keys", {"keys": None}, {"keys": ["key"]}])
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(UnfitKeyError, match="not a JWK Set"):
        StaticKeys(document)


def test_a_set_without_a_usable_key_is_refused() -> None:
    refused(why="no key of an allowed algorithm")


def test_an_algorithm_that_is_not_allowed_has_no_key() -> None:
    refused(public("RS256"), why="no key of an allowed algorithm", algorithms=("ES256",))
    refused(SECRET, why="no key of an allowed algorithm", algorithms=("ES256",))


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": ["encrypt", "verify "]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"use": "sig", "key_ops": ["deriveKey"]},
        {"alg": "ES256K"},
        {"alg": "ECDH-ES"},
        {"kty": "AKP", "alg": "ML-DSA-44"},
    ],
)
def test_a_key_for_something_else_is_passed_over(members: dict[str, Any]) -> None:
    other = public("ES256", kid="other", **members)
    keys = StaticKeys({"keys": [other, public("ES256")]})
    assert keys.find("other") is None
    assert keys.find("first") is not None
    refused(other, why="no key of an allowed algorithm")


def test_a_key_says_what_it_may_be_used_for_in_the_usual_ways() -> None:
    for members in ({"key_ops": ["verify"]}, {"use": "sig", "key_ops": ["sign", "verify"]}):
        StaticKeys({"keys": [public("ES256", **members)]})
    StaticKeys({"keys": [without(known_key("ES256").public, "use")]})


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        ("ES256", {"crv": "P-384"}),
        ("ES256", {"crv": "P-521", "alg": "ES512"}),
        ("ES256", {"alg": "ES384"}),
        ("ES256", {"alg": "ES521"}),
        ("ES256", {"alg": "RS256"}),
        ("ES256", {"alg": "HS256"}),
        ("ES256", {"kty": "RSA"}),
        ("RS256", {"alg": "ES256"}),
        ("RS256", {"alg": "EdDSA"}),
        ("EdDSA", {"crv": "Ed448"}),
        ("EdDSA", {"crv": "X25519"}),
        ("EdDSA", {"x": encoded(b"x" * 31)}),
    ],
)
def test_a_key_that_does_not_fit_its_algorithm_is_refused(
    algorithm: str, members: dict[str, Any]
) -> None:
    refused(public(algorithm, **members), why="of another type|not a key for")


def test_without_alg_a_key_is_for_the_only_algorithm_it_fits() -> None:
    for algorithm in ("ES256", "ES384", "ES512", "EdDSA"):
        keys = StaticKeys({"keys": [without(known_key(algorithm).public, "alg")]}, algorithms=EVERY)
        found = keys.find("first")
        assert found is not None
        assert found.algorithm_name == algorithm


def test_without_alg_a_key_that_fits_several_is_refused() -> None:
    unnamed = without(known_key("RS256").public, "alg")
    assert StaticKeys({"keys": [unnamed]}).find("first") is not None
    refused(unnamed, why="which of RS256, PS256", algorithms=("RS256", "PS256"))


def test_two_keys_of_one_kid_are_refused() -> None:
    refused(public("ES256"), key_pair("ES256").public, why="two keys have the kid 'first'")
    refused(public("ES256"), public("EdDSA"), why="two keys have the kid 'first'")


@pytest.mark.parametrize("kid", [None, "", 1, ["first"]])
def test_a_key_without_a_kid_is_refused(kid: Any) -> None:
    refused(public("ES256", kid=kid), why="no kid")


def test_a_private_key_is_refused() -> None:
    for member in ("d", "p", "q", "dp", "dq", "qi", "oth"):
        refused(public("RS256", **{member: "AQAB"}), why="a private key")
    refused(public("ES256", d=known_key("ES256").public["x"]), why="a private key")


def test_secrets_among_public_keys_are_refused_even_where_they_are_of_no_use() -> None:
    refused(SECRET, public("ES256"), why="shared secrets among public keys")
    refused(SECRET, public("ES256"), why="shared secrets", algorithms=("ES256",))
    refused(public("RS256"), {**SECRET, "use": "enc"}, why="shared secrets")


@pytest.mark.parametrize(("algorithm", "octets"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_shorter_than_the_hash_is_refused(algorithm: str, octets: int) -> None:
    StaticKeys(shared_secret(b"x" * octets, "kid", algorithm).jwks(), algorithms=[algorithm])
    for short in (octets - 1, 1):
        jwk = {**SECRET, "k": encoded(b"x" * short), "alg": algorithm}
        refused(jwk, why=f"fewer than {octets * 8} bits")
    refused({**SECRET, "k": ""}, why="no k")


def test_a_secret_that_is_somebodys_public_key_is_refused() -> None:
    pem = b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 64 + b"\n-----END PUBLIC KEY-----\n"
    refused({**SECRET, "k": encoded(pem)}, why="not a key for HS256")


def number(value: int) -> str:
    return base64url_encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def test_a_weak_rsa_key_is_refused() -> None:
    modulus = int.from_bytes(base64url_decode(known_key("RS256").public["n"]), "big")
    refused(public("RS256", n=number(modulus >> 1 | 1)), why="fewer than 2048 bits")
    refused(public("RS256", n=number(modulus >> 1024 | 1)), why="fewer than 2048 bits|not a key")
    for exponent in (1, 3, 17, 257, 65535):
        refused(public("RS256", e=number(exponent)), why="exponent below 65537|not a key")
    refused(public("RS256", e=number(65536)), why="not a key")


def test_an_rsa_key_of_a_flawed_smart_card_is_refused() -> None:
    """CVE-2017-15361: a modulus that is a power of 65537 modulo every small prime."""
    primes = [n for n in range(3, 168) if all(n % divisor for divisor in range(2, n))]
    product = math.prod(primes)
    power = pow(65537, 1234, product)
    odd = power if power % 2 else power + product
    modulus = odd + product * 2 ** (2048 - product.bit_length())
    refused(public("RS256", n=number(modulus)), why="CVE-2017-15361")


def test_a_point_off_the_curve_is_refused() -> None:
    y = base64url_decode(known_key("ES256").public["y"])
    off = y[:-1] + bytes([y[-1] ^ 1])
    refused(public("ES256", y=encoded(off)), why="not a key for ES256")
    refused(public("ES256", x=encoded(b"\0" * 32), y=encoded(b"\0" * 32)), why="not a key")


@pytest.mark.parametrize("x", ["", None, 1, "not base64!", "AAAA=", "AB", "\ud800", ["AAAA"]])
def test_a_number_that_is_not_base64url_is_refused(x: Any) -> None:
    for algorithm in ("ES256", "EdDSA"):
        refused(public(algorithm, x=x), why="no x|x is not base64url|not a key")


def test_a_key_that_lacks_a_number_is_refused() -> None:
    for algorithm, names in (("ES256", "xy"), ("RS256", "ne"), ("EdDSA", "x"), ("HS256", "k")):
        for name in names:
            refused(without(known_key(algorithm).public, name), why="not a key for")


def test_a_refusal_tells_no_secret() -> None:
    with pytest.raises(UnfitKeyError) as refusal:
        StaticKeys({"keys": [{**SECRET, "k": encoded(b"hush")}]}, algorithms=["HS256"])
    assert "hush" not in repr(refusal.value)
    assert encoded(b"hush") not in repr(refusal.value)
