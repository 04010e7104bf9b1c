"""The scheme of new hashes: what libsodium makes is what everybody else makes and reads."""

import argon2
import pytest
from passlib.hash import argon2 as passlib_argon2

from keyturn.argon2id import OF_NO_PASSWORD, Argon2id
from keyturn.passwords import Passwords

ELSEWHERE = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
PASSWORD = "pässword 1"
OTHERS = [
    argon2.PasswordHasher(time_cost=2, memory_cost=1024, parallelism=1),
    argon2.PasswordHasher(time_cost=1, memory_cost=19_456, parallelism=1),
    argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=2),
    argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=24),
    argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, salt_len=12),
    argon2.PasswordHasher(
        time_cost=2, memory_cost=19_456, parallelism=1, type=argon2.low_level.Type.I
    ),
]


def test_argon2_cffi_reads_it() -> None:
    stored = Argon2id.hash(PASSWORD)
    assert ELSEWHERE.verify(stored, PASSWORD)
    assert not ELSEWHERE.check_needs_rehash(stored)
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        ELSEWHERE.verify(stored, f"{PASSWORD} ")


def test_it_reads_what_argon2_cffi_makes() -> None:
    stored = ELSEWHERE.hash(PASSWORD)
    assert Argon2id.identify(stored)
    assert Argon2id.verify(PASSWORD, stored)
    assert Argon2id.verify(PASSWORD.encode(), stored.encode())
    assert not Argon2id.verify(f"{PASSWORD} ", stored)
    assert Argon2id.from_string(stored).to_string() == stored


def test_each_hash_has_a_salt_of_its_own() -> None:
    assert Argon2id.hash(PASSWORD) != Argon2id.hash(PASSWORD)


@pytest.mark.parametrize("hasher", OTHERS)
def test_at_other_parameters_it_is_passlibs_and_replaced(hasher: argon2.PasswordHasher) -> None:
    stored = hasher.hash(PASSWORD)
    assert not Argon2id.identify(stored)
    with pytest.raises(ValueError, match="argon2id"):
        Argon2id.from_string(stored)
    assert passlib_argon2.identify(stored)
    verdict = Passwords().verify(PASSWORD, stored)
    assert verdict.right
    assert verdict.new_hash is not None
    assert Argon2id.verify(PASSWORD, verdict.new_hash)


def test_at_these_it_stays() -> None:
    verdict = Passwords().verify(PASSWORD, ELSEWHERE.hash(PASSWORD))
    assert verdict.right
    assert verdict.new_hash is None


def test_no_password_has_the_hash_of_none() -> None:
    assert Argon2id.identify(OF_NO_PASSWORD)
    for password in ("", PASSWORD, "\0"):
        assert not Passwords().verify(password, None).right
