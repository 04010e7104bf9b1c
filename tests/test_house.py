"""Promises about the whole: every route has its guard, every error code its line in the docs."""

import importlib
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from keyturn.bearer.errors import BearerError
from keyturn.errors import KeyturnError
from tests.support.api import Api, assert_problem
from tests.support.routes import api_rules
from tests.support.server import ROOT

PAGES = {"/docs", "/docs/<asset>"}
PUBLIC = {
    "/account/login",
    "/account/logout",
    "/account/style.css",
    *PAGES,
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/auth/login",
    "/auth/logout",
    "/auth/refresh",
    "/livez",
    "/openapi.json",
    "/readyz",
    "/users",
}
FOR_VISITORS = {
    "/account",
    "/account/password",
    "/account/sessions/<uuid:session_id>/end",
    "/account/sessions/end-others",
}
FOR_SERVICES = {"/auth/introspect", "/auth/revocations"}


def test_every_route_is_guarded_or_marked_public(app: Flask) -> None:
    access = {
        rule.rule: getattr(app.view_functions[rule.endpoint], "access", None)
        for rule in app.url_map.iter_rules()
    }
    assert {path for path, kind in access.items() if kind == "public"} == PUBLIC
    guarded = {path: kind for path, kind in access.items() if path not in PUBLIC}
    assert {path for path, kind in guarded.items() if kind == "service"} == FOR_SERVICES
    assert {path for path, kind in guarded.items() if kind == "visitor"} == FOR_VISITORS
    assert set(guarded.values()) == {"bearer", "service", "visitor"}


def test_no_route_ends_in_a_slash_to_which_others_would_have_to_be_sent(app: Flask) -> None:
    assert [rule.rule for rule in app.url_map.iter_rules() if rule.rule.endswith("/")] == []


def test_every_guarded_route_refuses_a_caller_without_a_token(app: Flask) -> None:
    client = app.test_client()
    for rule in api_rules(app):
        if rule.rule in PUBLIC:
            continue
        path = rule.rule.replace("<uuid:session_id>", "00000000-0000-0000-0000-000000000000")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = client.open(path, method=method)
            assert_problem(answer, 401, "missing_token")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="keyturn"'


def _codes(error: Any) -> set[tuple[int, str]]:
    own = {(error.status, error.code)} if "code" in vars(error) else set()
    return own.union(*(_codes(kind) for kind in error.__subclasses__()))


def test_every_error_code_is_documented_and_no_other() -> None:
    table = re.findall(
        r"^\| (\d{3}) \| `(\w+)` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE
    )
    documented = {(int(status), code) for status, code in table}
    assert len(documented) == len(table)
    assert documented == _codes(KeyturnError) | _codes(BearerError)


def test_the_readme_shows_every_route(app: Flask) -> None:
    readme = (ROOT / "README.md").read_text()
    for rule in api_rules(app):
        if rule.rule in PAGES:
            continue
        path = rule.rule.replace("<uuid:session_id>", "SESSION_ID")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            calls = [line for line in readme.splitlines() if "curl" in line and path in line]
            sent = {_method(readme, line) for line in calls}
            assert method in sent, f"{method} {path}"


def _method(readme: str, line: str) -> str:
    """The method of the curl command that begins in this line."""
    command = readme[readme.index(line) :].replace("\\\n", " ").splitlines()[0]
    named = re.search(r"-X (\w+)", command)
    return named[1] if named else "POST" if " -d " in command else "GET"


@pytest.mark.parametrize("path", ["/nowhere", "/users/me", "/auth/login"])
def test_every_answer_is_kept_out_of_caches_and_sniffing(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_wsgi_module_serves_the_app(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHON_DOTENV_DISABLED", "1")
    app = importlib.import_module("wsgi").app
    assert Api(app.test_client()).login().status_code == 200
