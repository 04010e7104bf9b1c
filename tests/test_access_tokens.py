"""Access tokens on Keyturn's own routes: what only the service that knows the users can see."""

from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from tests.conftest import SECRETS
from tests.support.api import JOHN, Api, assert_problem
from tests.support.database import statements
from tests.support.targets import Target, keyturn_target
from tests.support.tokens import shared_secret

REVOKED = "token_revoked"


@pytest.fixture
def bob(app: Flask) -> Target:
    return keyturn_target(app)


@pytest.mark.usefixtures("clock")
def test_a_token_that_does_not_hold_costs_no_query(bob: Target, app: Flask) -> None:
    with statements(app) as sent:
        for token in (bob.token() + "=", bob.token(exp=1), bob.token({"alg": "none"}), "a.b.c"):
            assert bob.get(token).status_code == 401
    assert sent == []


@pytest.mark.parametrize("claim", ["sub", "sid"])
@pytest.mark.parametrize("value", ["", "1", "bob@gmail.com", "\0", "' OR 1=1 --", "a" * 5000, "é"])
def test_a_subject_that_is_no_id_is_401(bob: Target, claim: str, value: str) -> None:
    bob.refuses(bob.token(**{claim: value}))


def test_a_user_or_a_login_that_is_not_there_is_401(bob: Target) -> None:
    bob.refuses(bob.token(sub=str(uuid4())), REVOKED)
    bob.refuses(bob.token(sid=str(uuid4())), REVOKED)


def test_a_login_of_somebody_else_is_401(bob: Target, api: Api, app: Flask) -> None:
    johns = api.sessions(api.tokens(JOHN)["accessToken"])[0]["id"]
    bob.refuses(bob.token(sid=johns), REVOKED)


def test_a_refresh_token_is_no_access_token(bob: Target, api: Api) -> None:
    tokens = api.tokens()
    bob.refuses(tokens["refreshToken"])
    refresh_key = shared_secret(SECRETS["REFRESH_SECRET"].encode(), bob.header["kid"])
    bob.refuses(refresh_key.sign({**bob.header, "alg": "HS256"}, bob.claims))
    assert bob.lets_in(tokens["accessToken"])


def test_an_access_token_is_no_refresh_token_and_ends_no_login(bob: Target, api: Api) -> None:
    tokens = api.tokens()
    typed: dict[str, Any] = {"typ": "rt+jwt"}
    for token in (tokens["accessToken"], bob.token(typed), bob.token(typed, gen=0)):
        assert_problem(api.refresh(token), 401, "refresh_invalid")
        assert api.logout(token).status_code == 204
    assert bob.lets_in(bob.token())
    assert api.refresh(tokens["refreshToken"]).status_code == 200


def test_another_spelling_of_a_token_does_not_outlive_its_logout(bob: Target, api: Api) -> None:
    """CVE-2026-102269: what is remembered is the login, not the text of a token."""
    tokens = api.tokens()
    assert api.logout(tokens["refreshToken"]).status_code == 204
    bob.refuses(tokens["accessToken"], REVOKED)
    bob.refuses(tokens["accessToken"] + "=")
