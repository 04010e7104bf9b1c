"""Cross-origin requests: answers are shared with the origins listed, and with no others."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from keyturn.http.contract import contract_of
from tests.support.api import Api

LISTED = "https://app.example.com"
ALSO_LISTED = "http://localhost:5173"


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    settings["CORS_ORIGINS"] = f"{LISTED}, {ALSO_LISTED}"
    return settings


def shared_with(response: TestResponse) -> str | None:
    """The origin an answer is shared with; it must not be given to any other from a cache."""
    assert response.headers.getlist("Vary") == ["Origin"]
    origin = response.headers.get("Access-Control-Allow-Origin")
    assert response.headers.get("Access-Control-Allow-Credentials") == (origin and "true")
    return origin


def preflight(client: FlaskClient, path: str, origin: str, method: str = "POST") -> TestResponse:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    return client.options(path, headers=headers)


@pytest.mark.parametrize("origin", [LISTED, ALSO_LISTED])
def test_a_listed_origin_may_read_answers_and_problems(api: Api, origin: str) -> None:
    for path in ("/livez", "/users/me", "/nowhere"):
        response = api.client.get(path, headers={"Origin": origin})
        assert shared_with(response) == origin
        assert response.headers["Access-Control-Expose-Headers"] == "Retry-After, WWW-Authenticate"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "*",
        "null",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://sub.app.example.com",
        "http://app.example.com",
        "HTTPS://APP.EXAMPLE.COM",
        "https://app.example.com/",
        f"{LISTED}, {ALSO_LISTED}",
        f"{LISTED} {ALSO_LISTED}",
    ],
)
def test_no_other_origin_is_shared_with_nor_reflected(api: Api, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    response = api.client.get("/livez", headers=headers)
    assert shared_with(response) is None
    asked = preflight(api.client, "/auth/login", origin or "")
    assert shared_with(asked) is None
    assert not [name for name, _ in (*response.headers, *asked.headers) if "Access-Control" in name]


def test_a_preflight_tells_what_may_be_sent(client: FlaskClient) -> None:
    response = preflight(client, "/auth/refresh", LISTED)
    assert response.status_code == 200
    assert shared_with(response) == LISTED
    assert response.headers["Access-Control-Allow-Methods"] == response.headers["Allow"]
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert response.headers["Access-Control-Max-Age"] == "7200"


def test_every_header_a_route_reads_may_be_sent(app: Flask) -> None:
    told = preflight(app.test_client(), "/auth/refresh", LISTED).headers
    allowed = set(told["Access-Control-Allow-Headers"].split(", "))
    assert allowed >= {"Authorization", "Content-Type", "Idempotency-Key"}
    for view in app.view_functions.values():
        assert {header.name for header in contract_of(view).headers} <= allowed


def test_a_preflight_for_no_route_allows_nothing(client: FlaskClient) -> None:
    response = preflight(client, "/nowhere", LISTED)
    assert response.status_code == 404
    assert "Access-Control-Allow-Methods" not in response.headers


def test_by_default_nothing_is_shared(
    settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    del settings["CORS_ORIGINS"]
    client = request.getfixturevalue("client")
    for response in (
        client.get("/livez", headers={"Origin": LISTED}),
        preflight(client, "/auth/login", LISTED),
    ):
        assert not [name for name, _ in response.headers if "Access-Control" in name]
        assert "Vary" not in response.headers
