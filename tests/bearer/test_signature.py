"""A signature is checked once for a token that is shown again; all else that counts, each time."""

import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from jwt import PyJWK

from keyturn.bearer import BearerError, StaticKeys
from keyturn.bearer.claims import access_rules
from keyturn.bearer.errors import ExpiredTokenError, InvalidTokenError
from keyturn.bearer.verifier import Verifier
from tests.support.tokens import SigningKey, key_pair

RULES = access_rules("issuer", "audience", leeway=5)


class Changing:
    """A key set from which a key is taken."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = [StaticKeys(key.jwks()) for key in keys]

    def find(self, kid: str) -> PyJWK | None:
        return next((found for keys in self.keys if (found := keys.find(kid))), None)


def signed_by(key: SigningKey, **claims: Any) -> str:
    now = int(time.time())
    known = {"iss": "issuer", "aud": "audience", "sub": "bob", "sid": "login", "jti": "one"}
    header = {"alg": key.algorithm, "kid": "first", "typ": "at+jwt"}
    return key.sign(header, {**known, "iat": now, "exp": now + 60, **claims})


@pytest.fixture
def key() -> SigningKey:
    return key_pair("ES256")


@pytest.fixture
def keys(key: SigningKey) -> Changing:
    return Changing(key)


@pytest.fixture
def checks(keys: Changing) -> Iterator[mock.Mock]:
    """Every check of a signature under the key."""
    found = keys.find("first")
    assert found is not None
    with mock.patch.object(found.Algorithm, "verify", wraps=found.Algorithm.verify) as verify:
        yield verify


def test_the_signature_of_a_token_is_checked_once(
    key: SigningKey, keys: Changing, checks: mock.Mock
) -> None:
    verifier = Verifier(keys, RULES)
    first, second = signed_by(key), signed_by(key, jti="two")
    for _ in range(3):
        assert verifier.verify(first)["jti"] == "one"
        assert verifier.verify(second)["jti"] == "two"
    assert checks.call_count == 2


def test_a_token_that_was_let_in_is_refused_once_its_key_is_gone(
    key: SigningKey, keys: Changing
) -> None:
    verifier, token = Verifier(keys, RULES), signed_by(key)
    assert verifier.verify(token)
    keys.keys.clear()
    with pytest.raises(InvalidTokenError):
        verifier.verify(token)


def test_a_token_that_was_let_in_is_refused_under_another_key_of_that_name(
    key: SigningKey, keys: Changing
) -> None:
    verifier, token = Verifier(keys, RULES), signed_by(key)
    assert verifier.verify(token)
    keys.keys[:] = Changing(key_pair("ES256")).keys
    with pytest.raises(InvalidTokenError):
        verifier.verify(token)


def test_a_token_that_was_let_in_is_refused_once_it_has_expired(
    key: SigningKey, keys: Changing
) -> None:
    verifier, token = Verifier(keys, RULES), signed_by(key)
    assert verifier.verify(token)
    with mock.patch("time.time", return_value=time.time() + 66), pytest.raises(ExpiredTokenError):
        verifier.verify(token)


def test_what_one_caller_does_to_the_claims_no_other_sees(key: SigningKey, keys: Changing) -> None:
    verifier, token = Verifier(keys, RULES), signed_by(key)
    claims = verifier.verify(token)
    assert isinstance(claims, dict)
    claims["sub"] = "mallory"
    assert verifier.verify(token)["sub"] == "bob"


def test_forged_tokens_are_checked_each_time_and_drive_nothing_out(
    key: SigningKey, keys: Changing, checks: mock.Mock
) -> None:
    verifier = Verifier(keys, RULES, remembered=1)
    good, stranger = signed_by(key), key_pair("ES256")
    verifier.verify(good)
    forged = [signed_by(stranger, jti=str(number)) for number in range(20)]
    for token in forged * 2:
        with pytest.raises(BearerError):
            verifier.verify(token)
    verifier.verify(good)
    assert checks.call_count == 1 + 40


def test_who_remembers_no_token_checks_each_time(
    key: SigningKey, keys: Changing, checks: mock.Mock
) -> None:
    verifier, token = Verifier(keys, RULES, remembered=0), signed_by(key)
    for _ in range(3):
        verifier.verify(token)
    assert checks.call_count == 3
