"""The OpenAPI document is valid and true."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.api import BOB, Api
from tests.support.routes import api_rules
from tests.support.server import ROOT

# Errors that no route answers: those of services that use the guard.
ONLY_ELSEWHERE = {"insufficient_scope", "keys_unavailable"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.mimetype == "application/json"
    return dict(answer.get_json())


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_schema_in_it_is_a_json_schema(document: dict[str, Any]) -> None:
    found = [*document["components"]["schemas"].values(), *schemas(document)]
    assert len(found) > 50
    for schema in found:
        Draft202012Validator.check_schema(schema)


def schemas(part: Any) -> Iterator[dict[str, Any]]:
    """Every value of a member `schema`, however deep."""
    if isinstance(part, dict):
        if isinstance(part.get("schema"), dict):
            yield part["schema"]
        part = list(part.values())
    for member in part if isinstance(part, list) else []:
        yield from schemas(member)


def test_every_route_and_method_is_in_it(document: dict[str, Any], app: Flask) -> None:
    described = {
        (re.sub(r"{\w+}", "*", path), method.upper())
        for path, item in document["paths"].items()
        for method in item
    }
    served = {
        (re.sub(r"<[^>]+>", "*", rule.rule), method)
        for rule in api_rules(app)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == served


def test_every_error_code_is_in_it(document: dict[str, Any]) -> None:
    table = (ROOT / "docs/errors.md").read_text()
    documented = set(re.findall(r"^\| \d{3} \| `(\w+)` \|", table, re.MULTILINE))
    responses = [*document["components"]["responses"].values()]
    for operation in operations(document):
        responses += operation["responses"].values()
    described = {code for response in responses for code in codes(response)}
    assert described == documented - ONLY_ELSEWHERE


def codes(response: dict[str, Any]) -> list[str]:
    """The error codes of one response."""
    problem = response.get("content", {}).get("application/problem+json")
    return problem["schema"]["allOf"][1]["properties"]["code"]["enum"] if problem else []


def test_every_operation_answers_something_and_says_what_it_does(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert any(status.startswith("2") for status in operation["responses"])
        assert operation["summary"]


def test_every_operation_is_in_a_group_that_is_explained(document: dict[str, Any]) -> None:
    explained = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for operation in operations(document) for tag in operation["tags"]} == explained


def test_operation_ids_are_unique_names_for_generated_clients(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert {"logIn", "refresh", "logOutByDelete", "listSessions", "changePassword"} <= set(ids)


def test_a_guarded_operation_says_so(document: dict[str, Any]) -> None:
    me = document["paths"]["/users/me"]["get"]
    assert me["security"] == [{"bearer": []}]
    assert "bearer" in document["components"]["securitySchemes"]
    refused = me["responses"]["401"]
    assert codes(refused) == ["invalid_token", "missing_token", "token_expired", "token_revoked"]
    assert refused["headers"]["WWW-Authenticate"]["required"] is True
    assert document["paths"]["/auth/login"]["post"]["security"] == []


def test_a_cookie_may_stand_in_for_the_body(document: dict[str, Any]) -> None:
    name = "__Secure-keyturn-refresh"
    scheme = document["components"]["securitySchemes"][name]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "cookie", name)
    refresh = document["paths"]["/auth/refresh"]["post"]
    assert refresh["security"] == [{}, {name: []}]
    assert refresh["requestBody"]["required"] is False
    login = document["paths"]["/auth/login"]["post"]
    assert login["requestBody"]["required"] is True
    for operation, status in ((login, "200"), (refresh, "200")):
        assert name in operation["responses"][status]["headers"]["Set-Cookie"]["description"]
        assert codes(operation["responses"]["403"]) == ["origin_not_allowed"]


def test_a_variable_of_a_path_has_its_type_and_may_miss(document: dict[str, Any]) -> None:
    end_session = document["paths"]["/auth/sessions/{sessionId}"]["delete"]
    (parameter,) = end_session["parameters"]
    assert parameter["schema"] == {"type": "string", "format": "uuid"}
    assert codes(end_session["responses"]["404"]) == ["not_found", "session_not_found"]


def test_headers_that_tell_what_to_do_are_in_it(document: dict[str, Any]) -> None:
    refresh = document["paths"]["/auth/refresh"]["post"]
    assert [one["name"] for one in refresh["parameters"]] == ["Idempotency-Key"]
    for status in ("429", "503"):
        assert refresh["responses"][status]["headers"]["Retry-After"]["schema"]["type"] == "integer"
    not_allowed = document["components"]["responses"]["MethodNotAllowed"]
    assert "Allow" in not_allowed["headers"]


def test_what_other_services_send_and_get_is_in_it(document: dict[str, Any]) -> None:
    introspect = document["paths"]["/auth/introspect"]["post"]
    assert introspect["security"] == [{"service": []}]
    assert "service" in document["components"]["securitySchemes"]
    assert introspect["requestBody"]["content"].keys() == {"application/x-www-form-urlencoded"}
    told = document["paths"]["/auth/verify"]["get"]["responses"]["204"]["headers"]
    assert told.keys() == {"X-Auth-User", "X-Auth-Session"}
    for header in told.values():
        assert (header["required"], header["schema"]["type"]) == (True, "string")
        assert re.search(header["schema"]["pattern"], "2048a696-347e-44df-8055-e8d33d367f35")


def test_it_has_the_schemas_that_validate(document: dict[str, Any]) -> None:
    login = document["components"]["schemas"]["Login"]
    assert login["required"] == ["email", "password"]
    assert login["additionalProperties"] is False
    email = login["properties"]["email"]
    assert (email["type"], email["format"], email["maxLength"]) == ("string", "email", 254)


@pytest.mark.parametrize("name", ["", "B\0b", "B\x7fb", "B\x85b", "Bob\n", "Bob", "B\xa0b", "🐙"])
def test_the_pattern_of_a_text_refuses_what_the_service_refuses(
    document: dict[str, Any], api: Api, name: str
) -> None:
    schema = document["components"]["schemas"]["Profile"]["properties"]["name"]
    fits = (
        re.search(schema["pattern"].replace("$", r"\Z"), name) is not None
        and schema["minLength"] <= len(name) <= schema["maxLength"]
    )
    answer = api.send("PATCH", "/users/me", api.tokens()["accessToken"], {"name": name})
    assert answer.status_code == (200 if fits else 422)


def test_its_example_of_a_login_logs_in(document: dict[str, Any], api: Api) -> None:
    properties = document["components"]["schemas"]["Login"]["properties"]
    shown = {name: schema for name, schema in properties.items() if "examples" in schema}
    example = {name: schema["examples"][0] for name, schema in shown.items()}
    assert example == BOB
    assert api.login(example).status_code == 200


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


def test_an_asset_is_sent_whole_whatever_part_is_asked_for(client: FlaskClient) -> None:
    answer = client.get("/docs/start.js", headers={"Range": "bytes=999999-"}, buffered=True)
    assert answer.status_code == 200
    assert "SwaggerUIBundle" in answer.text
