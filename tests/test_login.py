"""Logging in: who gets tokens, what is kept with the login, and what happens to old hashes."""

from datetime import timedelta

import jwt
import pytest
import time_machine
from flask import Flask
from passlib.hash import argon2, bcrypt, pbkdf2_sha256, scrypt
from sqlalchemy import delete, insert, select, update

from keyturn.auth.login import PURGED_WITH_A_LOGIN
from keyturn.auth.models import RefreshToken
from keyturn.database import db
from keyturn.passwords import Passwords, Verdict
from keyturn.users.models import User
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.database import execute, rows


@pytest.mark.parametrize(
    "credentials",
    [
        {**BOB, "password": "wrong"},
        {**BOB, "password": "bobpass"},
        {**BOB, "email": "nobody@gmail.com"},
    ],
)
def test_a_failed_login_is_401_and_not_an_empty_201(
    api: Api, app: Flask, credentials: dict[str, str]
) -> None:
    assert_problem(api.login(credentials), 401, "invalid_credentials")
    assert rows(app, RefreshToken) == []


def test_the_case_of_an_email_does_not_count(api: Api) -> None:
    assert api.login({**BOB, "email": "BOB@Gmail.COM"}).status_code == 200


def test_a_login_keeps_user_agent_and_address(api: Api, app: Flask) -> None:
    api.tokens(**{"User-Agent": "x" * 600})
    (login,) = rows(app, RefreshToken)
    assert (login.user_agent, login.ip_address) == ("x" * 512, "127.0.0.1")


def test_refresh_tokens_carry_neither_address_nor_user_agent(api: Api) -> None:
    here = api.tokens(**{"User-Agent": "one"})["refreshToken"]
    claims = jwt.decode(here, options={"verify_signature": False})
    assert claims.keys() == {"iss", "sub", "sid", "gen", "iat", "exp"}
    answer = api.client.post(
        "/auth/refresh",
        json={"refreshToken": here},
        headers={"User-Agent": "another"},
        environ_overrides={"REMOTE_ADDR": "203.0.113.7"},
    )
    assert answer.status_code == 200


def test_the_last_address_and_user_agent_are_kept(api: Api, app: Flask) -> None:
    token = api.tokens(**{"User-Agent": "one"})["refreshToken"]
    api.refresh(token, **{"User-Agent": "two"})
    assert rows(app, RefreshToken)[0].user_agent == "two"


@pytest.mark.parametrize(
    ("hops", "forwarded", "kept"),
    [
        ("0", "198.51.100.1", "127.0.0.1"),
        ("1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("2", "198.51.100.1, 203.0.113.9", "198.51.100.1"),
    ],
)
def test_only_configured_proxies_are_believed(
    settings: dict[str, str],
    request: pytest.FixtureRequest,
    hops: str,
    forwarded: str,
    kept: str,
) -> None:
    settings["TRUSTED_PROXIES"] = hops
    app = request.getfixturevalue("app")
    Api(app.test_client()).tokens(**{"X-Forwarded-For": forwarded})
    assert rows(app, RefreshToken)[0].ip_address == kept


@pytest.mark.parametrize(
    "old_hash",
    [
        argon2.using(type="ID", memory_cost=8192, time_cost=1, parallelism=1).hash("bobPass"),
        bcrypt.using(rounds=4).hash("bobPass"),
        scrypt.using(rounds=4).hash("bobPass"),
        pbkdf2_sha256.using(rounds=1).hash("bobPass"),
    ],
    ids=lambda text: text.split("$")[1],
)
def test_an_older_hash_is_upgraded_at_the_next_login(api: Api, app: Flask, old_hash: str) -> None:
    execute(app, update(User).where(User.email == BOB["email"]).values(password_hash=old_hash))
    assert_problem(api.login({**BOB, "password": "wrong"}), 401, "invalid_credentials")
    assert api.login().status_code == 200
    with app.app_context():
        stored = db.session.scalar(select(User.password_hash).where(User.email == BOB["email"]))
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert api.login().status_code == 200


def test_a_current_hash_stays(api: Api, app: Flask) -> None:
    before = {user.id: user.password_hash for user in rows(app, User)}
    api.tokens()
    assert {user.id: user.password_hash for user in rows(app, User)} == before


def test_a_hash_nobody_knows_is_a_wrong_password(api: Api, app: Flask) -> None:
    execute(app, update(User).values(password_hash="!"))
    assert_problem(api.login(), 401, "invalid_credentials")


@pytest.mark.parametrize("change", ["disabled", "deleted", "password"])
def test_a_user_changed_while_the_hash_is_computed_gets_no_tokens(
    api: Api, app: Flask, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    verify = Passwords.verify

    def verify_slowly(self: Passwords, password: str, stored: str | None) -> Verdict:
        verdict = verify(self, password, stored)
        execute(
            app,
            {
                "disabled": update(User).values(disabled_at=User.created_at),
                "deleted": delete(User),
                "password": update(User).values(password_hash="!"),
            }[change],
        )
        return verdict

    monkeypatch.setattr(Passwords, "verify", verify_slowly)
    assert_problem(api.login(), 401, "invalid_credentials")
    assert rows(app, RefreshToken) == []


def test_a_disabled_user_cannot_log_in(api: Api, app: Flask) -> None:
    runner = app.test_cli_runner()
    runner.invoke(args=["users", "disable", BOB["email"]], catch_exceptions=False)
    assert_problem(api.login(), 401, "invalid_credentials")
    runner.invoke(args=["users", "enable", BOB["email"]], catch_exceptions=False)
    assert api.login().status_code == 200


def test_a_login_deletes_a_few_dead_ones(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    api.tokens()
    (login,) = rows(app, RefreshToken)
    like_it = {
        column.name: getattr(login, column.name)
        for column in RefreshToken.__table__.columns
        if column.name != "id"
    }
    execute(app, insert(RefreshToken).values([like_it] * (PURGED_WITH_A_LOGIN + 1)))
    clock.shift(timedelta(days=14 + 30))
    api.tokens(JOHN)
    assert len(rows(app, RefreshToken)) == PURGED_WITH_A_LOGIN + 2 + 1
    clock.shift(timedelta(seconds=1))
    api.tokens(JOHN)
    assert len(rows(app, RefreshToken)) == 2 + 2
    api.tokens(JOHN)
    assert len(rows(app, RefreshToken)) == 3


def test_unicode_passwords_are_normalised() -> None:
    passwords = Passwords()
    stored = passwords.hash("Amélie ﬁancée")
    assert passwords.verify("Ame\u0301lie fiance\u0301e", stored).right
