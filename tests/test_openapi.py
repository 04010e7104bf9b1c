"""The OpenAPI document is true, and its page asks nobody else."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.api import Api


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.mimetype == "application/json"
    return dict(answer.get_json())


def test_every_route_and_method_is_in_it(document: dict[str, Any], app: Flask) -> None:
    described = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item
    }
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == served


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(set(ids)) == len(ids)


def test_a_guarded_operation_says_so(document: dict[str, Any]) -> None:
    me = document["paths"]["/users/me"]["get"]
    assert me["security"] == [{"bearer": []}]
    codes = me["responses"]["401"]["content"]["application/problem+json"]["schema"]["allOf"][1]
    assert codes["properties"]["code"]["enum"] == [
        "invalid_token",
        "missing_token",
        "token_expired",
        "token_revoked",
    ]
    assert document["paths"]["/auth/login"]["post"]["security"] == []


def test_it_has_the_schemas_that_validate(document: dict[str, Any]) -> None:
    login = document["components"]["schemas"]["Login"]
    assert login["required"] == ["email", "password"]
    assert login["additionalProperties"] is False
    assert login["properties"]["email"] == {"type": "string", "format": "email", "maxLength": 254}


def test_its_version_is_the_packages(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "0.1.0"


def test_the_page_allows_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs", buffered=True)
    assert page.mimetype == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "<script>" not in page.text
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(f"/{asset}", buffered=True).status_code == 200


def test_only_the_pages_own_assets_are_served(api: Api) -> None:
    for asset in ("docs.html", "index.css", "..%2fopenapi.py", "%2e%2e"):
        assert api.get(f"/docs/{asset}", None).status_code == 404
