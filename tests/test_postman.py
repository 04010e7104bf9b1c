"""The Postman collection, run request by request against the served app."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from flask import Flask

from tests.support.routes import api_rules
from tests.support.server import ROOT, Answer, Server
from tests.test_house import PAGES

COLLECTION = json.loads((ROOT / "docs" / "keyturn.postman_collection.json").read_text())

# What its test scripts do: they expect a status, and keep a part of the answer or a cookie.
EXPECTED = re.compile(r"to\.have\.status\((\d{3})\)")
KEPT = re.compile(
    r'collectionVariables\.set\("(\w+)", pm\.response\.json\(\)(?:\[(\d)\])?\.(\w+)\)'
)
KEPT_COOKIE = re.compile(r'collectionVariables\.set\("(\w+)", .+startsWith\("(.+?=)"\)')


class Runner:
    """Sends the requests of a collection, as Postman does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.variables = {one["key"]: one["value"] for one in COLLECTION["variable"]}

    def run(self, item: dict[str, Any]) -> None:
        script = "\n".join(item["event"][0]["script"]["exec"])
        answer = self.send(item["request"])
        (status,) = EXPECTED.findall(script)
        assert answer.status == int(status), (item["name"], answer.body)
        for variable, index, member in KEPT.findall(script):
            document = answer.json[int(index)] if index else answer.json
            self.variables[variable] = document[member]
        for variable, start in KEPT_COOKIE.findall(script):
            (cookie,) = [one for one in answer.cookies if one.startswith(start)]
            self.variables[variable] = cookie.split(";")[0]

    def send(self, request: dict[str, Any]) -> Answer:
        headers = {one["key"]: self.filled(one["value"]) for one in request["header"]}
        auth = request.get("auth", COLLECTION["auth"])
        if auth["type"] == "bearer":
            headers["Authorization"] = self.filled(f"Bearer {auth['bearer'][0]['value']}")
        path = self.filled(request["url"]["raw"].removeprefix("{{baseUrl}}"))
        body = self.body(**request["body"]) if "body" in request else None
        return self.server.request(request["method"], path, body, headers)

    def body(self, mode: str, raw: str = "", urlencoded: Any = (), **_: Any) -> str:
        if mode == "raw":
            return self.filled(raw)
        return urlencode({one["key"]: self.filled(one["value"]) for one in urlencoded})

    def filled(self, text: str) -> str:
        text = text.replace("{{$guid}}", str(uuid4()))
        return re.sub(r"{{(\w+)}}", lambda match: self.variables[match[1]], text)


def test_the_collection_runs_through(serve: Callable[..., Server], service_token: str) -> None:
    runner = Runner(serve(REGISTRATION="open"))
    runner.variables["serviceToken"] = service_token
    for item in COLLECTION["item"]:
        runner.run(item)


def test_the_collection_knows_every_route(app: Flask) -> None:
    served = {
        (method, re.sub(r"<[^>]+>", "*", rule.rule))
        for rule in api_rules(app)
        if rule.rule not in PAGES
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    shown = set()
    for item in COLLECTION["item"]:
        path = item["request"]["url"]["raw"].removeprefix("{{baseUrl}}").partition("?")[0]
        shown.add((item["request"]["method"], re.sub(r"{{\w+}}", "*", path)))
    assert shown == served
