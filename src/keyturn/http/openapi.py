"""The OpenAPI 3.1 document, made of what the views' decorators promise.

Its schemas are the ones that validate; its errors are the classes that are raised.
"""

import importlib.metadata
import inspect
import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from werkzeug.routing import Rule

from keyturn.errors import KeyturnError, UnavailableError
from keyturn.http.contract import Contract, Refusal, contract_of
from keyturn.http.schema import ProblemSchema

PROBLEM_JSON = "application/problem+json"

# What any route may answer, whatever its view does.
_EVERYWHERE: tuple[Refusal, ...] = (KeyturnError, UnavailableError)

# What a view demands of its caller, by the `access` its guard marks it with.
_SECURITY: dict[str, list[dict[str, list[str]]]] = {"public": [], "bearer": [{"bearer": []}]}

_CHALLENGE = {
    "WWW-Authenticate": {
        "schema": {"type": "string"},
        "description": "How to authenticate (RFC 6750 section 3).",
    }
}
_RETRY_AFTER = {
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 0},
        "description": "Seconds to wait before the same request is sent again.",
    }
}


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of an app's routes, guarded and public ones."""
    spec = APISpec(
        title="Keyturn",
        version=importlib.metadata.version("keyturn"),
        openapi_version="3.1.0",
        info={"description": "A JWT authentication microservice."},
        plugins=[MarshmallowPlugin()],
    )
    spec.components.security_scheme(
        "bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    )
    spec.components.schema("Problem", schema=ProblemSchema)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        spec.path(path=_path(rule), operations=_operations(app, rule))
    return spec.to_dict()


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _operations(app: Flask, rule: Rule) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    operations = {}
    for method in methods:
        suffix = f"_by_{method.lower()}" if len(methods) > 1 else ""
        operations[method.lower()] = {
            "operationId": rule.endpoint.replace(".", "_") + suffix,
            "tags": [rule.endpoint.partition(".")[0]],
            "summary": inspect.getdoc(view) or "",
            "security": _SECURITY[getattr(view, "access")],  # noqa: B009 - set by its guard
            **_body(contract_of(view)),
            "parameters": list(_parameters(rule, contract_of(view))),
            "responses": _responses(contract_of(view)),
        }
    return operations


def _body(contract: Contract) -> dict[str, Any]:
    if contract.body is None:
        return {}
    content = {"application/json": {"schema": contract.body}}
    return {"requestBody": {"required": True, "content": content}}


def _parameters(rule: Rule, contract: Contract) -> Iterable[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {
            "in": "path",
            "name": name,
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        }
    if contract.query is not None:
        yield {"in": "query", "schema": contract.query}
    for header in contract.headers:
        yield {
            "in": "header",
            "name": header.name,
            "description": header.explanation,
            "schema": {"type": "string", "pattern": header.pattern},
        }


def _responses(contract: Contract) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    success: dict[str, Any] = {"description": HTTPStatus(contract.status).phrase}
    if contract.answer is not None:
        success["content"] = {"application/json": {"schema": contract.answer}}
    responses[str(contract.status)] = success
    by_status: dict[int, list[Refusal]] = defaultdict(list)
    for refusal in (*contract.refusals, *_EVERYWHERE):
        by_status[refusal.status].append(refusal)
    for status, refusals in sorted(by_status.items()):
        responses[str(status)] = _refusal(status, refusals)
    return responses


def _refusal(status: int, refusals: list[Refusal]) -> dict[str, Any]:
    codes = {refusal.code: refusal.detail for refusal in refusals}
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"code": {"enum": sorted(codes)}, "status": {"const": status}}},
        ]
    }
    response: dict[str, Any] = {
        "description": "\n".join(f"`{code}`: {detail}" for code, detail in codes.items()),
        "content": {PROBLEM_JSON: {"schema": schema}},
    }
    if status == HTTPStatus.UNAUTHORIZED:
        response["headers"] = _CHALLENGE
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["headers"] = _RETRY_AFTER
    return response
