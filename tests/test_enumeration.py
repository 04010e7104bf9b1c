"""Nothing tells whether an account exists: not the answer, and not the work that it took.

The time is compared in bench/, because here others compute, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from keyturn.passwords import Passwords, Verdict
from tests.support.api import BOB, JOHN, Api
from tests.support.database import statements

CASES = {
    "wrong password": {**BOB, "password": "wrong"},
    "unknown": {"email": "nobody@gmail.com", "password": "wrong"},
    "unknown, of the same length": {"email": "bab@gmail.com", "password": "wrong"},
    "disabled": {**JOHN, "password": "wrong"},
    "disabled, right password": JOHN,
}


@dataclass(frozen=True)
class Seen:
    """An answer, and what was done for it."""

    status: int
    headers: dict[str, str]
    body: bytes
    statements: list[str]
    hashes: list[str]


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "THROTTLE_ACCOUNT": "1/60"}


@pytest.fixture
def see(api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Seen]:
    app.test_cli_runner().invoke(args=["users", "disable", JOHN["email"]], catch_exceptions=False)
    with app.app_context():
        app.extensions["keyturn"].current_signer()  # or the first request would read the keys
    compare, hashes = Passwords._compare, []

    def compare_and_note(self: Passwords, secret: str, stored: str) -> Verdict:
        hashes.append(stored.rpartition("$")[0].rpartition("$")[0])  # the parameters
        return compare(self, secret, stored)

    monkeypatch.setattr(Passwords, "_compare", compare_and_note)

    def see(credentials: dict[str, str]) -> Seen:
        hashes.clear()
        with statements(app) as sent:
            answer: Any = api.login(credentials)
        headers = {name: value for name, value in answer.headers if name != "X-Request-ID"}
        return Seen(answer.status_code, headers, answer.data, list(sent), list(hashes))

    return see


@pytest.mark.usefixtures("clock")
def test_wrong_unknown_and_disabled_are_one_answer_after_the_same_work(
    see: Callable[[dict[str, str]], Seen],
) -> None:
    seen = {name: see(credentials) for name, credentials in CASES.items()}
    first = seen["wrong password"]
    assert first.status == 401
    assert first.hashes == ["$argon2id$v=19$m=19456,t=2,p=1"]
    # One of the account, one of the address, one of all.
    assert sum(one.startswith("INSERT INTO spent_budgets") for one in first.statements) == 3
    del seen["disabled, right password"]  # its account's budget was spent by the one before
    assert {name: one for name, one in seen.items() if one != first} == {}


@pytest.mark.usefixtures("clock")
def test_a_disabled_users_right_password_is_a_wrong_one(
    see: Callable[[dict[str, str]], Seen],
) -> None:
    assert see(CASES["disabled, right password"]) == see(CASES["wrong password"])


@pytest.mark.usefixtures("clock")
def test_refused_attempts_do_not_tell_either(see: Callable[[dict[str, str]], Seen]) -> None:
    for credentials in (CASES["wrong password"], CASES["unknown"], CASES["disabled"]):
        assert see(credentials).status == 401
    seen = [see(CASES[name]) for name in ("wrong password", "unknown", "disabled")]
    seen += [see(BOB), see(JOHN)]
    assert seen[0].status == 429
    assert seen[0].hashes == []
    assert [one for one in seen if one != seen[0]] == []
