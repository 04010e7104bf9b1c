"""The OpenAPI 3.1 document, made of what the views' decorators promise.

Its schemas are the ones that validate; its errors are the classes that are raised; its words are
the docstrings of the blueprints' modules and of the views.
"""

import importlib.metadata
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from werkzeug.routing import Rule

from keyturn.bearer.errors import problem_document
from keyturn.errors import (
    BadRequestError,
    KeyturnError,
    MethodNotAllowedError,
    UnavailableError,
    UnknownRouteError,
)
from keyturn.http.contract import Answer, Contract, Header, Refusal, contract_of
from keyturn.http.cookies import Cookie
from keyturn.http.schema import ProblemSchema

PROBLEM_JSON = "application/problem+json"

_DESCRIPTION = """\
Signs users in, hands out short-lived access tokens and long-lived refresh tokens, and turns the \
key at every refresh.

To try it here: execute `POST /auth/login`, copy the `accessToken` of its answer, press \
**Authorize** and paste it. Every guarded route is then yours.

Every error is one shape, `application/problem+json` (RFC 9457), with a stable `code` to branch \
on. What no route but the server itself refuses, stands in `components.responses`.
"""

# What any route may answer, whatever its view does.
_EVERYWHERE: tuple[Refusal, ...] = (KeyturnError, UnavailableError)

# What is refused before there is a route to describe it at.
_NOWHERE: tuple[Refusal, ...] = (BadRequestError, UnknownRouteError, MethodNotAllowedError)

# How a caller shows who they are, by the `access` a guard marks its views with.
_SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `accessToken` of a login or a refresh.",
    },
    "service": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "opaque",
        "description": "The token of a service, made by `flask services create`. "
        "HTTP Basic with the service's name and the token is taken as well.",
    },
}

_VARIABLE = re.compile(r"<(?:(\w+):)?(\w+)>")
_VARIABLE_TYPES = {"uuid": {"type": "string", "format": "uuid"}}

_WAIT = Header(
    "Retry-After", "Seconds to wait before the same request is sent again.", kind="integer"
)
_HEADERS: dict[int, Header] = {
    401: Header("WWW-Authenticate", "How to authenticate (RFC 6750 section 3).", required=True),
    405: Header("Allow", "The methods that this route has.", required=True),
    429: _WAIT,
    503: _WAIT,
}


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of an app's routes, guarded and public ones."""
    spec = APISpec(
        title="Keyturn",
        version=importlib.metadata.version("keyturn"),
        openapi_version="3.1.0",
        info={"description": _DESCRIPTION},
        plugins=[MarshmallowPlugin()],
    )
    _add_components(spec)
    for cookie in {contract_of(view).cookie for view in app.view_functions.values()}:
        if cookie is not None:
            spec.components.security_scheme(cookie.name, _scheme(cookie))
    rules = [rule for rule in app.url_map.iter_rules() if _contract(app, rule).is_api]
    grouped = {rule.endpoint.partition(".")[0] for rule in rules}
    for name in [name for name in app.blueprints if name in grouped]:
        blueprint = app.blueprints[name]
        summary, _ = _words(sys.modules[blueprint.import_name])
        spec.tag({"name": name, "description": summary})
    for rule in rules:
        spec.path(path=_path(rule), operations=dict(_operations(app, rule)))
    return spec.to_dict()


def _contract(app: Flask, rule: Rule) -> Contract:
    return contract_of(app.view_functions[rule.endpoint])


def _add_components(spec: APISpec) -> None:
    for name, scheme in _SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    spec.components.schema("Problem", schema=ProblemSchema)
    for refusal in _NOWHERE:
        name = refusal.__name__.removesuffix("Error")
        spec.components.response(name, _refusal(refusal.status, [refusal]))


def _words(documented: Any) -> tuple[str, str]:
    """Return a docstring's first sentence, without its full stop, and the rest."""
    summary, _, description = (inspect.getdoc(documented) or "").partition("\n")
    return summary.removesuffix("."), description.strip()


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _path(rule: Rule) -> str:
    return _VARIABLE.sub(lambda variable: f"{{{_camel(variable[2])}}}", rule.rule)


def _operations(app: Flask, rule: Rule) -> Iterable[tuple[str, dict[str, Any]]]:
    view = app.view_functions[rule.endpoint]
    blueprint, _, name = rule.endpoint.rpartition(".")
    methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    for method in methods:
        suffix = f"_by_{method.lower()}" if len(methods) > 1 else ""
        yield (
            method.lower(),
            {"operationId": _camel(name + suffix), "tags": [blueprint], **_operation(view, rule)},
        )


def _operation(view: Any, rule: Rule) -> dict[str, Any]:
    contract = contract_of(view)
    summary, description = _words(view)
    parameters = [*_variables(rule), *_read(contract)]
    return {
        "summary": summary,
        **({"description": description} if description else {}),
        "security": _security(view),
        **({"parameters": parameters} if parameters else {}),
        **_body(contract),
        "responses": _responses(contract, in_path=bool(rule.arguments)),
    }


def _variables(rule: Rule) -> Iterable[dict[str, Any]]:
    for converter, name in _VARIABLE.findall(rule.rule):
        schema = _VARIABLE_TYPES.get(converter, {"type": "string"})
        yield {"in": "path", "name": _camel(name), "required": True, "schema": schema}


def _read(contract: Contract) -> Iterable[dict[str, Any]]:
    if contract.query is not None:
        yield {"in": "query", "schema": contract.query}
    for header in contract.headers:
        yield {"in": "header", "name": header.name, **_header(header)}


def _header(header: Header) -> dict[str, Any]:
    pattern = {"pattern": header.pattern} if header.pattern else {}
    return {
        "description": header.explanation,
        "required": header.required,
        "schema": {"type": header.kind, **pattern},
    }


def _security(view: Any) -> list[dict[str, list[str]]]:
    cookie = contract_of(view).cookie
    if cookie is not None:
        return [{}, {cookie.name: []}]
    return [] if view.access == "public" else [{view.access: []}]


def _scheme(cookie: Cookie) -> dict[str, str]:
    place = {"type": "apiKey", "in": "cookie", "name": cookie.name}
    return {**place, "description": cookie.explanation}


def _body(contract: Contract) -> dict[str, Any]:
    if contract.body is None:
        return {}
    content = {contract.body_type: {"schema": contract.body}}
    return {"requestBody": {"required": contract.cookie is None, "content": content}}


def _responses(contract: Contract, *, in_path: bool) -> dict[str, Any]:
    by_status: dict[int, list[Refusal]] = defaultdict(list)
    for refusal in (*contract.refusals, *((UnknownRouteError,) if in_path else ()), *_EVERYWHERE):
        by_status[refusal.status].append(refusal)
    return {
        **{str(answer.status): _answer(answer, contract.sets) for answer in contract.answers},
        **{str(status): _refusal(status, by_status[status]) for status in sorted(by_status)},
    }


def _answer(answer: Answer, cookies: tuple[Cookie, ...]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(answer.status).phrase}
    if answer.media_type:
        schema = {} if answer.schema is None else {"schema": answer.schema}
        response["content"] = {answer.media_type: schema}
    headers = [*answer.headers, *_set_cookie(cookies)]
    if headers:
        response["headers"] = {header.name: _header(header) for header in headers}
    return response


def _set_cookie(cookies: tuple[Cookie, ...]) -> Iterable[Header]:
    if cookies:
        names = " and ".join(f"`{cookie.name}`" for cookie in cookies)
        yield Header("Set-Cookie", f"{names}, with the cookie transport.")


def _refusal(status: int, refusals: list[Refusal]) -> dict[str, Any]:
    codes = {refusal.code: refusal.detail for refusal in refusals}
    narrowed = {"code": {"enum": sorted(codes)}, "status": {"const": status}}
    examples = {code: {"value": problem_document(status, code, codes[code])} for code in codes}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": narrowed}]}
    response: dict[str, Any] = {
        "description": "  \n".join(f"`{code}`: {detail}" for code, detail in codes.items()),
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
    }
    if header := _HEADERS.get(status):
        response["headers"] = {header.name: _header(header)}
    return response
