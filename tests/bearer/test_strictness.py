"""Every check of RFC 8725 that applies, by name, against Keyturn and against another service.

Each token differs from one that is let in by what its test names, and is rightly signed unless the
test is about the signature.
"""

import random
import string
from typing import Any

import pytest
import time_machine

from tests.support.targets import Target, service_target
from tests.support.tokens import (
    as_json,
    encoded,
    encodings_of,
    key_pair,
    shared_secret,
    without,
)
from tests.support.web import Reply, WebServer

OTHER_ALGORITHMS = [
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES256K", "ES384", "ES512", "ES521", "EdDSA", "Ed25519", "Ed448"),
    *("A128KW", "A256GCM", "RSA-OAEP", "dir", "hs256", "Es256", "HS256 ", ["HS256"], 256),
]
NONE: list[Any] = [
    *("none", "None", "NONE", "nOnE", "noNE", "NonE", "none ", " none", "none\0", "none\t", "non"),
    *("", "null", None, 0, False, [], ["none"], {}),
]
NO_OBJECTS: list[Any] = [[], [["alg", "none"]], "text", 1, 1.5, True, None]
NO_JSON = [b"", b"{", b"{}x", b"{'a': 1}", b"\xff\xfe{}", b"\x00", b"\xef\xbb\xbf{}"]
NO_STRINGS: list[Any] = [None, True, 1, 1.5, [], ["a"], {}, {"a": "b"}]
NO_DATES: list[Any] = [None, True, False, "", "4102444800", "soon", [], [4102444800], {}]
ASYMMETRIC = ["ES256", "EdDSA", "RS256"]

asymmetric = pytest.mark.parametrize("algorithm", ASYMMETRIC)


def test_the_token_that_all_others_are_made_of_is_let_in(target: Target) -> None:
    assert target.lets_in(target.token())


# --- RFC 8725 sections 3.1 and 3.2: algorithms ----------------------------------------------------


def test_the_algorithm_is_the_keys_and_not_the_headers(target: Target) -> None:
    for algorithm in OTHER_ALGORITHMS:
        if algorithm != target.key.algorithm:
            target.refuses(target.token({"alg": algorithm}))


@pytest.mark.parametrize(
    ("meant", "used"), [("HS256", "HS512"), ("RS256", "PS256"), ("RS256", "RS512")]
)
def test_a_key_is_for_one_algorithm_alone(meant: str, used: str) -> None:
    target = service_target(meant)
    signer = target.key.for_algorithm(used)
    target.refuses(signer.sign({**target.header, "alg": used}, target.claims))
    target.refuses(signer.sign(target.header, target.claims))


def test_none_is_refused_in_every_spelling_whatever_the_signature(target: Target) -> None:
    signatures = ["", target.token().rpartition(".")[2], "AA", encoded(b"\0" * 32)]
    for spelling in NONE:
        unsigned = f"{encoded({**target.header, 'alg': spelling})}.{encoded(target.claims)}"
        for signature in signatures:
            target.refuses(f"{unsigned}.{signature}")


def test_a_header_without_an_algorithm_is_refused(target: Target) -> None:
    target.refuses(target.token_under(without(target.header, "alg")))


@asymmetric
def test_a_public_key_is_no_shared_secret_in_any_encoding(algorithm: str) -> None:
    target = service_target(algorithm)
    for secret in encodings_of(target.key.public):
        for hmac in ("HS256", "HS384", "HS512"):
            forger = shared_secret(secret, target.key.kid, hmac)
            target.refuses(forger.sign({**target.header, "alg": hmac}, target.claims))
            target.refuses(forger.sign(target.header, target.claims))


# --- section 3.3: the signature, before anything is believed --------------------------------------


def test_a_signature_that_is_not_whole_is_refused(target: Target) -> None:
    valid = target.token()
    signed, _, signature = valid.rpartition(".")
    length = len(target.key.signature(signed))
    for broken in ["", signature[:-4], signature + "AAAA", signature[:4], signature * 2]:
        target.refuses(f"{signed}.{broken}")
    for octets in (b"\0" * length, b"\xff" * length, b"\0", b"\0" * (length - 1) + b"\1"):
        target.refuses(f"{signed}.{encoded(octets)}")
    target.refuses(signed)


def test_one_flipped_bit_anywhere_is_refused(target: Target) -> None:
    valid = target.token()
    signed = valid.rpartition(".")[0]
    signature = target.key.signature(signed)
    for position in range(0, len(signature) * 8, 7):
        flipped = bytearray(signature)
        flipped[position // 8] ^= 1 << position % 8
        target.refuses(f"{signed}.{encoded(bytes(flipped))}")
    letters = string.ascii_letters + string.digits
    for position in range(0, len(signed), 9):
        if signed[position] != ".":
            other = random.Random(position).choice(letters.replace(signed[position], ""))
            target.refuses(valid[:position] + other + valid[position + 1 :])


def test_a_signature_of_random_bytes_of_any_length_is_refused(target: Target) -> None:
    chance = random.Random(8725)
    signed = target.token().rpartition(".")[0]
    for length in [*range(1, 70), 96, 132, 255, 256, 257, 512, 1024]:
        target.refuses(f"{signed}.{encoded(chance.randbytes(length))}")


def test_the_signature_of_another_token_is_refused(target: Target) -> None:
    other = target.token(sub="another").rpartition(".")[2]
    target.refuses(f"{target.token().rpartition('.')[0]}.{other}")


def test_a_token_of_somebody_elses_key_is_refused(target: Target) -> None:
    algorithm = target.key.algorithm
    if algorithm == "HS256":
        forger = shared_secret(b"another secret of thirty-two bytes", target.key.kid)
    else:
        forger = key_pair(algorithm, target.key.kid)
    target.refuses(forger.sign(target.header, target.claims))


# --- section 3.14 of its successor: the compact form, and nothing else ----------------------------


def test_only_base64url_and_two_dots_are_a_token(target: Target) -> None:
    valid = target.token()
    header, payload, signature = valid.split(".")
    for appended in ("=", "==", "%3D", "\0", "\u00e9", "\u0661", "+", "/", "~", "."):
        target.refuses(valid + appended)
        target.refuses(f"{header}{appended}.{payload}.{signature}")
        target.refuses(f"{header}.{payload}{appended}.{signature}")
    for inserted in (" ", "\n", "\r\n", "\t", "\u00a0"):
        target.refuses(f"{header}.{inserted}{payload}.{signature}")
        target.refuses(f"{header}.{payload}.{inserted}{signature}")
    for parts in ([header], [header, payload], [header, "", signature], ["", payload, signature]):
        target.refuses(".".join(parts))


def test_spare_bits_of_base64url_must_be_zero(target: Target) -> None:
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    for part in range(3):
        parts = target.token({"x": "y" * part}).split(".")
        if len(parts[part]) % 4 == 0:
            continue
        last = alphabet.index(parts[part][-1])
        parts[part] = parts[part][:-1] + alphabet[last + 1]
        target.refuses(".".join(parts))


def test_an_encrypted_token_is_refused(target: Target) -> None:
    header = encoded({**target.header, "alg": "dir", "enc": "A256GCM"})
    target.refuses(f"{header}..{encoded(b'0' * 12)}.{encoded(target.claims)}.{encoded(b'0' * 16)}")
    target.refuses(f"{target.token()}.{encoded(b'0' * 12)}.{encoded(b'0' * 16)}")


def test_a_token_in_json_serialization_is_refused(target: Target) -> None:
    header, payload, signature = target.token().split(".")
    flattened = f'{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}'
    target.refuses(flattened)
    target.refuses(encoded(flattened.encode()))


def test_a_token_within_a_token_is_refused(target: Target) -> None:
    inner = target.token().encode()
    target.refuses(target.token_of(inner))
    target.refuses(target.key.sign({**target.header, "cty": "JWT"}, inner))


# --- section 3.10: nothing a token says about keys is followed ------------------------------------


def test_a_key_that_the_token_brings_along_is_not_used(target: Target, web: WebServer) -> None:
    forger = key_pair("ES256", "forged")
    web.reply = Reply(forger.jwks())
    brought = {
        "jwk": forger.public,
        "jku": f"{web.url}/jwks.json",
        "x5u": f"{web.url}/certificate.pem",
        "x5c": ["MIIB"],
        "x5t": "AAAA",
        "iss": web.url,
    }
    for name, value in brought.items():
        for kid in (forger.kid, target.key.kid, f"{web.url}/jwks.json"):
            header = {"alg": "ES256", "typ": "at+jwt", "kid": kid, name: value}
            target.refuses(forger.sign(header, target.claims))
    target.refuses(forger.sign({**target.header, "alg": "ES256", **brought}, target.claims))
    assert web.asked == []


def test_what_else_a_header_says_about_keys_is_not_looked_at(
    target: Target, web: WebServer
) -> None:
    forger = key_pair("ES256", "forged")
    said = {"jwk": forger.public, "jku": web.url, "x5u": web.url, "x5c": "MIIB", "unknown": None}
    assert target.lets_in(target.token(said))
    assert web.asked == []


def test_a_kid_is_looked_up_to_the_letter_and_nothing_more(target: Target) -> None:
    kid = target.key.kid
    for odd in [
        *("", "../../../../dev/null", "/dev/null", "' OR '1'='1", "x' UNION SELECT 'key' --"),
        *("| whoami", "${jndi:ldap://127.0.0.1/a}", "*", "%", "\0", f"{kid}\0", "\ud800", "🔑"),
        *(f"{kid} ", f" {kid}", kid[:-1], kid + kid[-1], kid.swapcase(), kid * 400),
        *(None, True, 0, 1, [], [kid], {}, {"kid": kid}),
    ]:
        target.refuses(target.token({"kid": odd}))
    target.refuses(target.token_under(without(target.header, "kid")))


# --- RFC 7515 section 4.1.11, RFC 7797: extensions ------------------------------------------------


def test_an_extension_that_is_critical_is_refused(target: Target) -> None:
    for crit in [["exp"], ["b64"], ["x"], ["alg"], [], [1], *NO_OBJECTS, "b64", "", {}]:
        target.refuses(target.token({"crit": crit, "x": True, "exp": 1}))


def test_an_unencoded_payload_is_refused(target: Target) -> None:
    for b64 in (False, True, None, "false", 0):
        target.refuses(target.token({"b64": b64}))
        target.refuses(target.token({"b64": b64, "crit": ["b64"]}))


# --- section 3.11 and 3.12: kinds of tokens -------------------------------------------------------


def test_a_token_of_another_kind_is_refused(target: Target) -> None:
    for typ in [
        *("rt+jwt", "JWT", "jwt", "AT+JWT", "at+jwt ", "application/at+jwt", "at+jwt;v=1"),
        *("logout+jwt", "secevent+jwt", "dpop+jwt", "", ["at+jwt"], *NO_STRINGS),
    ]:
        target.refuses(target.token({"typ": typ}))
    target.refuses(target.token_under(without(target.header, "typ")))


# --- RFC 7519 section 4.1, RFC 8725 sections 3.8 and 3.9: claims ----------------------------------


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "sid", "jti", "iat", "exp"])
def test_every_claim_is_required(target: Target, claim: str) -> None:
    target.refuses(target.token_of(without(target.claims, claim)))
    target.refuses(target.token(**{claim: None}))


def test_the_issuer_is_compared_exactly(target: Target) -> None:
    issuer = target.claims["iss"]
    odd = [issuer[:-1], issuer[1:], f"{issuer}/", f"{issuer} ", issuer.upper(), issuer + issuer, ""]
    for iss in [*odd, [issuer], {"": issuer}, *NO_STRINGS]:
        target.refuses(target.token(iss=iss))


def test_the_audience_is_compared_exactly(target: Target) -> None:
    audience = target.claims["aud"]
    odd = [audience[:-1], audience[1:], f"{audience}s", audience.upper(), "*", ""]
    for aud in [*odd, [audience], [audience, "others"], ["others"], *NO_STRINGS]:
        target.refuses(target.token(aud=aud))


@pytest.mark.parametrize("claim", ["sub", "sid", "jti", "scope"])
def test_a_claim_of_text_is_text(target: Target, claim: str) -> None:
    for value in NO_STRINGS:
        target.refuses(target.token(**{claim: value}))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_date_is_a_number(target: Target, claim: str) -> None:
    for value in NO_DATES:
        target.refuses(target.token(**{claim: value}))
    payload = as_json({**target.claims, claim: "HERE"})
    for number in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5000):
        target.refuses(target.token_of(payload.replace(b'"HERE"', number)))


def test_a_fraction_of_a_second_is_a_date(target: Target) -> None:
    assert target.lets_in(target.token(exp=target.claims["exp"] + 0.5))


def test_an_expired_token_says_so_and_is_refused_past_the_leeway(target: Target) -> None:
    exp = target.claims["exp"]
    token = target.token(iat=exp - 900)
    with time_machine.travel(exp + 4, tick=False):
        assert target.lets_in(token)
    with time_machine.travel(exp + 5, tick=False):
        target.refuses(token, "token_expired")
    target.refuses(target.token(exp=0), "token_expired")
    target.refuses(target.token(exp=-(10**18)), "token_expired")


def test_a_token_that_is_wrong_and_expired_is_wrong(target: Target) -> None:
    target.refuses(target.token(exp=1, aud="others"))


def test_a_token_from_the_future_is_refused_past_the_leeway(target: Target) -> None:
    iat = target.claims["iat"]
    for claim in ("iat", "nbf"):
        with time_machine.travel(iat, tick=False):
            assert target.lets_in(target.token(**{claim: iat + 5}))
            for future in (iat + 6, 10**18):
                target.refuses(target.token(**{claim: future}))


# --- section 3.4 and 3.7: bytes that are no token at all ------------------------------------------


def test_a_header_or_payload_that_is_no_json_object_is_refused(target: Target) -> None:
    for odd in [*NO_OBJECTS, *NO_JSON]:
        target.refuses(target.token_under(odd))
        target.refuses(target.token_of(odd))


def test_only_utf_8_is_json(target: Target) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        target.refuses(target.token_under(as_json(target.header).decode().encode(encoding)))
        target.refuses(target.token_of(as_json(target.claims).decode().encode(encoding)))


def test_a_name_that_comes_twice_is_refused(target: Target) -> None:
    for name, value in (("alg", "none"), ("kid", target.key.kid), ("typ", "at+jwt")):
        target.refuses(target.token_under(_before(target.header, name, value)))
    for name in ("sub", "exp", "iss"):
        target.refuses(target.token_of(_before(target.claims, name, target.claims[name])))


def _before(members: dict[str, Any], name: str, value: Any) -> bytes:
    """The members, and before them one more."""
    return as_json({name: value})[:-1] + b"," + as_json(members)[1:]


def test_deep_nesting_is_no_fault(target: Target) -> None:
    for depth in (900, 2_500, 5_000, 70_000):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            bomb = opening * depth + b"1" + closing * depth
            target.refuses(target.token_under(bomb))
            target.refuses(target.token_of(bomb))
            header = as_json({**target.header, "x": "HERE"}).replace(b'"HERE"', bomb)
            claims = as_json({**target.claims, "x": "HERE"}).replace(b'"HERE"', bomb)
            for token in (target.token_under(header), target.token_of(claims)):
                assert target.get(token).status_code in {200, 401}


def test_a_token_over_8_kib_is_refused(target: Target) -> None:
    assert target.lets_in(target.token(padding="x" * 4_000))
    for size in (8_192, 64 * 1024, 1024 * 1024):
        target.refuses(target.token(padding="x" * size))
        target.refuses(target.token({"padding": "x" * size}))
        target.refuses("." * size)
        target.refuses("A" * size)


def test_lone_surrogates_and_nul_are_refused_without_a_fault(target: Target) -> None:
    for text in ("\ud800", "\udfff\ud800", "a\ud800"):
        target.refuses(target.token({"x": text}))
        target.refuses(target.token(sub=text))
        target.refuses(target.token(x=text))
    target.refuses(target.token({"kid": "\0"}))
    target.refuses(target.token({"alg": "\0"}))
