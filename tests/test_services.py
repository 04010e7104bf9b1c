"""Service tokens: made, kept, taken back; and nothing else opens their routes."""

import base64
import hashlib
import json
import re
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from keyturn.downstream.models import ServiceToken
from tests.support.api import Api, assert_problem
from tests.support.database import rows, statements
from tests.support.services import make_service_token

Run = Callable[..., Result]
Ask = Callable[[str | None], TestResponse]


@pytest.fixture
def run(app: Flask) -> Run:
    return lambda *arguments: app.test_cli_runner().invoke(args=["services", *arguments])


@pytest.fixture
def ask(client: FlaskClient) -> Ask:
    """Ask for the feed with this Authorization."""

    def ask(authorization: str | None) -> TestResponse:
        headers = {} if authorization is None else {"Authorization": authorization}
        return client.get("/auth/revocations", headers=headers)

    return ask


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


# --- the commands ---------------------------------------------------------------------------------


def test_create_shows_the_token_once_and_keeps_a_digest(run: Run, app: Flask) -> None:
    result = run("create", "orders")
    assert result.exit_code == 0
    (token,) = re.findall(r"\bkeyturn_svc_[A-Za-z0-9_-]{43}\b", result.output)
    (kept,) = rows(app, ServiceToken)
    assert (kept.name, kept.digest) == ("orders", hashlib.sha256(token.encode()).hexdigest())
    listed = run("list")
    assert "orders" in listed.output
    assert token not in listed.output
    assert kept.digest not in listed.output


def test_two_tokens_differ(app: Flask) -> None:
    assert make_service_token(app, "orders") != make_service_token(app, "invoices")


def test_list_is_json_for_scripts(run: Run, app: Flask) -> None:
    for name in ("orders", "invoices"):
        make_service_token(app, name)
    listed = json.loads(run("list", "--json").output)
    assert [one["name"] for one in listed] == ["invoices", "orders"]
    assert listed[0].keys() == {"name", "created"}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["create", "orders"], 4, "already"),
        (["create", "two words"], 2, "letters, digits"),
        (["create", "a:b"], 2, "letters, digits"),
        (["create", "-x"], 2, "No such option"),
        (["create", "x" * 65], 2, "Up to 64"),
        (["create", "orders\n"], 2, "letters, digits"),
        (["create"], 2, "NAME"),
        (["revoke", "nobody"], 3, "no such service"),
    ],
)
def test_exit_codes_tell_what_went_wrong(
    run: Run, app: Flask, arguments: list[str], exit_code: int, said: str
) -> None:
    make_service_token(app)
    result = run(*arguments)
    assert result.exit_code == exit_code, result.output
    assert said in result.output
    assert [one.name for one in rows(app, ServiceToken)] == ["orders"]


def test_a_revoked_token_opens_nothing_at_once(run: Run, ask: Ask, service_token: str) -> None:
    assert ask(f"Bearer {service_token}").status_code == 200
    assert run("revoke", "orders").exit_code == 0
    assert_problem(ask(f"Bearer {service_token}"), 401, "service_token_invalid")
    assert run("revoke", "orders").exit_code == 3


# --- the guard ------------------------------------------------------------------------------------


def test_a_service_shows_its_token_as_a_bearer_or_with_its_name(
    ask: Ask, service_token: str
) -> None:
    for shown in (
        f"Bearer {service_token}",
        f"bearer {service_token}",
        basic("orders", service_token),
    ):
        assert ask(shown).status_code == 200


def test_a_wrong_token_is_refused_with_both_challenges(
    ask: Ask, app: Flask, service_token: str
) -> None:
    make_service_token(app, "invoices")
    for shown in (
        f"Bearer {service_token[:-1]}!",
        f"Bearer {service_token} {service_token}",
        f"Bearer {service_token}, Bearer {service_token}",
        f"Bearer token={service_token}",
        "Bearer keyturn_svc_" + "A" * 43,
        "Bearer ",
        basic("invoices", service_token),
        basic("", service_token),
        basic("orders", ""),
    ):
        answer = ask(shown)
        assert_problem(answer, 401, "service_token_invalid")
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer realm="keyturn", error="invalid_token", Basic realm="keyturn"'
        )
        assert service_token not in answer.text


def test_another_scheme_is_no_token(ask: Ask, service_token: str) -> None:
    for shown in (None, "", "Basic !!!", f"Digest {service_token}", service_token):
        assert_problem(ask(shown), 401, "missing_token")


@pytest.mark.usefixtures("clock")
def test_what_has_not_the_shape_of_a_token_costs_no_query(ask: Ask, app: Flask) -> None:
    with statements(app) as sent:
        ask("Bearer x")
        ask("Bearer keyturn_svc_\u00e4" + "A" * 42)
    assert sent == []


def test_neither_kind_of_token_opens_the_others_routes(
    api: Api, ask: Ask, client: FlaskClient, service_token: str
) -> None:
    users = api.tokens()
    assert_problem(ask(f"Bearer {users['accessToken']}"), 401, "service_token_invalid")
    assert_problem(api.me(service_token), 401, "invalid_token")
