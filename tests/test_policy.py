"""Which new passwords are taken, and what is said of the others."""

import gzip
from importlib.resources import files

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from keyturn.blocklist import common_passwords
from keyturn.errors import WeakPasswordError
from keyturn.policy import PasswordPolicy, Reason
from tests.support.api import BOB, Api, assert_problem

COMMON = common_passwords()
PERSONAL = ("ann.smith@mail.example", "Ann Smith")


def policy(min_length: int = 15) -> PasswordPolicy:
    return PasswordPolicy(min_length, common=COMMON, service=("Keyturn", "https://id.acme.test"))


def reason(password: str, min_length: int = 15) -> str | None:
    try:
        policy(min_length).check(password, *PERSONAL)
    except WeakPasswordError as error:
        return error.reason
    return None


def listed() -> list[str]:
    packed = files("keyturn.blocklist").joinpath("common.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("ascii").splitlines()


@pytest.mark.parametrize("length", range(8, 16))
def test_ten_thousand_common_passwords_are_known_for_every_minimum_length(length: int) -> None:
    assert sum(len(password) >= length for password in listed()) >= 10_000


def test_every_common_password_is_refused() -> None:
    long_enough = [password for password in listed() if len(password) >= 8]
    assert [password for password in long_enough[::97] if reason(password, 8) is None] == []


def test_the_list_has_no_line_that_is_not_a_password() -> None:
    assert "" not in COMMON
    assert "password\nqwertyuiop" not in COMMON
    assert listed() == sorted(set(listed()))
    assert [one for one in listed() if one != one.casefold() or not one.isprintable()] == []


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("correct horse", "too_short"),
        ("ﬁﬁﬁﬁﬁﬁﬁ", "too_short"),
        ("é" * 1025, "too_long"),
        ("aaaaaaaaaaaaaaa", "repetitive"),
        ("abcabcabcabcabcab", "repetitive"),
        ("ha ha ha ha ha ha ha", "repetitive"),
        ("abcdefghijklmnop", "repetitive"),
        ("98765432109876543", "repetitive"),
        ("ann.smith@mail.example", "personal"),
        ("Ann Smith Ann Smith", "personal"),
        ("ANNSMITHANNSMITH", "personal"),
        ("smith1234567890", "personal"),
        ("ann.smith@mail.example1!", "personal"),
        ("id.acme.test2024", "service"),
        ("keyturnkeyturn!", "service"),
        ("Keyturn---1234567", "service"),
        ("passwordpassword", "common"),
        ("PasswordPassword123!", "common"),
        ("Password123Password123", "common"),
        ("password12345678", "common"),
        ("dragon!!!!!!!!!!", "common"),
        ("stairway.to.heaven", "common"),
        ("1qaz2wsx3edc4rfv", "common"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str, expected: str) -> None:
    assert reason(password) == expected


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "my password is long enough",
        "Ann Smith likes pears",
        "keyturn turns the key",
        "847362519283746",
        "}{#a(*&^%$@!)_+=",
        "9f86d081884c7d65",
        "passwordhorsepassword",
        "пароль от сейфа моей тёти",
        "正しい馬のバッテリーの主食ですよ",
        "               🐙 with spaces",
    ],
)
def test_nothing_else_is_asked_of_a_password(password: str) -> None:
    assert reason(password) is None


def test_length_is_counted_in_characters_after_normalisation() -> None:
    assert reason("ﬁ" * 8 + "ance") != "too_short"  # each ligature is two letters
    assert reason("e\u0301" * 14) == "too_short"  # and each letter with its accent is one
    assert reason("🐙🦑🐠🐟🐬🐳🐋🦈🐊🐅🐆🦓🦍🦧🐘") is None
    policy().check("x7" + "é" * 1022)
    with pytest.raises(WeakPasswordError, match="at most 1024"):
        policy().check("ﷺ" * 100)  # one character that NFKC makes eighteen of


@given(st.text(min_size=8, max_size=40))
def test_any_text_has_an_answer(password: str) -> None:
    assert reason(password, 8) in {None, *Reason}


def test_the_answer_says_why(api: Api, app: Flask) -> None:
    token = api.tokens()["accessToken"]
    body = {"currentPassword": BOB["password"], "newPassword": "bob@gmail.com2024"}
    problem = assert_problem(
        api.send("PUT", "/users/me/password", token, body), 422, "weak_password"
    )
    assert problem["reason"] == "personal"
    assert problem["detail"] == "The password is the e-mail or the name, or little more."
