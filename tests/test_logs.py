"""The log: a line for every request, with all an operator needs in it and nothing secret."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError, OperationalError

from keyturn.database import db
from keyturn.ops.logs import Forwarder
from keyturn.users.models import User
from tests.conftest import SECRETS
from tests.support.api import BOB, Api
from tests.support.server import Answer, Server
from tests.test_postman import COLLECTION, Runner

Lines = Callable[[], list[dict[str, Any]]]

CANARY = "canary-hunter2"
NOBODY = "somebody.else@example.com"

# What gunicorn refuses by itself, repeating it in its own words.
NOT_HTTP = (
    "GET /{0} HTTP/9.9\r\n\r\n",
    "{0}\r\n\r\n",
    "GET\r\n\r\n",
    "{0} / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\n{0}\r\n\r\n",
    "GET / HTTP/1.1\r\n{0} : x\r\n\r\n",
    "GET / HTTP/1.1\r\nCookie: a\r\n {0}\r\n\r\n",
    "GET / HTTP/1.1\r\nCookie: a\x1b{0}\r\n\r\n",
    "GET / HTTP/1.1\r\nExpect: {0}\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: {0}\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: {0}\r\n\r\n",
    "POST /{0} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{0}\r\n",
    "GET /?" + "{0}" * 600 + " HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\n" + "X-{0}: x\r\n" * 200 + "\r\n",
)


def remember_tokens(server: Server) -> set[str]:
    """Return a set that gets every token which the server hands out from now on."""
    tokens: set[str] = set()
    plain = server.request

    def request(*arguments: Any) -> Answer:
        answer = plain(*arguments)
        told = (answer.body.decode("utf-8", "replace"), *answer.cookies)
        tokens.update(token for one in told for token in re.findall(r"eyJ[\w.-]+", one))
        return answer

    server.request = request  # type: ignore[assignment,method-assign] # sees every request
    return tokens


def hostile_requests(app: Flask, token: str) -> Iterator[tuple[str, str, Any, dict[str, str]]]:
    """For every route and method: secrets in each place where none belongs."""
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
        "Cookie": f"session={CANARY}; token={token}",
        "User-Agent": f"{CANARY} \x9b31m",
        "Referer": f"https://example.com/?{token}",
        "Idempotency-Key": CANARY,
        "X-Request-ID": CANARY,
        "X-Forwarded-For": CANARY,
    }
    bodies = (
        {"email": NOBODY, "password": CANARY},
        {"email": CANARY, "password": BOB["password"]},
        {"refreshToken": token[:-1]},
        {CANARY: NOBODY},
        f'{{"email": "{CANARY}',
        {"name": f"{CANARY}\r\n"},
        {"currentPassword": CANARY, "newPassword": CANARY * 9},
    )
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", CANARY, rule.rule)
        for method in (rule.methods or set()) | {"TRACE"}:
            for body in bodies if method in {"POST", "PUT", "PATCH", "DELETE"} else (None,):
                yield method, f"{path}?{CANARY}&email={NOBODY}", body, headers


def test_a_full_run_logs_every_request_and_no_secret(
    serve: Callable[..., Server], app: Flask, service_token: str
) -> None:
    settings = {"WEB_CONCURRENCY": 2, "LOG_LEVEL": "debug", "REGISTRATION": "open"}
    server = serve("tests.support.dying:app", **settings)
    tokens = remember_tokens(server)
    runner = Runner(server)
    runner.variables["serviceToken"] = service_token
    for item in COLLECTION["item"]:
        runner.run(item)
    requests = list(hostile_requests(app, server.login()["accessToken"]))
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda request: server.request(*request), requests))
    for one in NOT_HTTP:
        assert b'"code": "' in server.raw(one.format(CANARY).encode(), finish=True)
    assert server.request("GET", f"/{CANARY}", None, {"X-Raise": CANARY}).status == 500
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines()]
    logged = {line.get("request_id"): line for line in lines}
    for answer in answers:
        assert logged[answer.headers["X-Request-ID"]]["status"] == answer.status
    passwords = {one["value"] for one in COLLECTION["variable"] if "assword" in one["key"]}
    assert len(tokens) > 8
    assert len(passwords) > 1
    given = tokens | passwords | {*SECRETS.values(), service_token}
    for secret in given | {CANARY, "eyJ", "argon2", "@", "\x1b"}:
        assert secret not in server.log()


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Lines:
    """What was logged since it was asked for last."""
    return lambda: [json.loads(line) for line in capfd.readouterr().err.splitlines()]


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    return settings | {"KEYTURN_ENV": "production"}


def test_a_line_tells_who_did_what_and_how_it_ended(api: Api, lines: Lines) -> None:
    first = api.login()
    (line,) = lines()
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line.pop("ms") > 0
    assert line.pop("request_id") == first.headers["X-Request-ID"]
    user, login = line["user"], line["login"]
    assert line == {
        "level": "info",
        "event": "login",
        "result": "ok",
        "method": "POST",
        "route": "/auth/login",
        "status": 200,
        "address": "127.0.0.1",
        "user": user,
        "login": login,
    }
    tokens = first.get_json()
    assert api.get("/auth/sessions", tokens["accessToken"]).get_json()[0]["id"] == login
    (line,) = lines()
    assert (line["event"], line["user"], line["login"]) == ("request", user, login)
    assert (line["route"], line["status"], "code" in line) == ("/auth/sessions", 200, False)


def test_every_event_has_its_result(api: Api, lines: Lines, clock: time_machine.Traveller) -> None:
    first = api.tokens()
    token = first["refreshToken"]
    newest = api.refresh(token, key="a").get_json()
    api.refresh(token, key="b")
    api.refresh(token, key="a")
    clock.shift(11)
    api.refresh(token)
    api.refresh(newest["refreshToken"])
    api.refresh("nonsense")
    api.logout(newest["refreshToken"])
    api.logout("nonsense")
    api.login({**BOB, "password": "wrong"})
    api.login({"email": "nobody@example.com", "password": "wrong"})
    told = [(line["event"], line["result"], line["level"], "user" in line) for line in lines()]
    assert told == [
        ("login", "ok", "info", True),
        ("refresh", "rotated", "info", True),
        ("refresh", "access_only", "info", True),
        ("refresh", "replayed", "info", True),
        ("refresh", "reused", "warning", True),
        ("refresh", "revoked", "info", True),
        ("refresh", "invalid", "info", False),
        ("logout", "ok", "info", True),
        ("logout", "invalid", "info", False),
        ("login", "invalid_credentials", "info", True),
        ("login", "invalid_credentials", "info", False),
    ]


def test_a_changed_password_and_ended_sessions_are_events(api: Api, lines: Lines) -> None:
    access = api.tokens()["accessToken"]
    new = {"currentPassword": "wrong", "newPassword": "correct horse battery"}
    api.send("PUT", "/users/me/password", access, new)
    api.send("PUT", "/users/me/password", access, {**new, "currentPassword": "bobPass"})
    api.send("DELETE", "/auth/sessions/00000000-0000-0000-0000-000000000000", access)
    api.send("DELETE", "/auth/sessions", access)
    told = [(line["event"], line["result"], line["level"]) for line in lines()[1:]]
    assert told == [
        ("change_password", "wrong_password", "warning"),
        ("change_password", "ok", "info"),
        ("end_session", "session_not_found", "info"),
        ("end_sessions", "ok", "info"),
    ]


def test_a_purge_tells_how_many(api: Api, lines: Lines, clock: time_machine.Traveller) -> None:
    for _ in range(3):
        api.tokens()
    clock.shift(timedelta(days=45))
    api.tokens()
    assert [line.get("purged") for line in lines()] == [None, None, None, 3]


def test_a_fault_is_told_by_place_and_class_without_values(app: Flask, lines: Lines) -> None:
    nothing: dict[str, str] = {}

    def fails(name: str = CANARY) -> str:
        try:
            return nothing[name]
        except KeyError as error:
            raise RuntimeError(f"it was {name}") from error

    app.view_functions["health.alive"] = fails
    answer = app.test_client().get("/livez")
    fault, request = lines()
    assert (fault["event"], fault["level"]) == ("unexpected_error", "error")
    assert [one["class"] for one in fault["error"]] == ["RuntimeError", "KeyError"]
    assert fault["error"][0]["at"][-1].endswith(" fails")
    assert (request["status"], request["code"]) == (500, "internal_error")
    assert {fault["request_id"], request["request_id"]} == {answer.headers["X-Request-ID"]}
    assert CANARY not in json.dumps([fault, request])


def test_a_database_that_is_away_is_told_in_one_line(app: Flask, lines: Lines) -> None:
    def fails() -> str:
        said = psycopg.errors.LockNotAvailable(f"canceling statement\nCONTEXT: {CANARY}")
        raise OperationalError(f"SELECT {CANARY}", {}, said)

    app.view_functions["health.alive"] = fails
    assert app.test_client().get("/livez").status_code == 503
    away, request = lines()
    assert (away["event"], away["level"]) == ("database_unavailable", "error")
    assert (away["cause"], away["reason"]) == ("LockNotAvailable", "canceling statement")
    assert CANARY not in json.dumps([away, request])


def test_an_error_of_the_database_does_not_repeat_the_parameters_of_a_statement(app: Flask) -> None:
    with app.app_context(), pytest.raises(IntegrityError) as caught:
        db.session.execute(insert(User).values(id=uuid4(), email=CANARY, name=CANARY))
    assert "[SQL parameters hidden" in str(caught.value)
    # PostgreSQL itself repeats the row; no such text is logged (see above).
    assert CANARY not in str(caught.value).partition("DETAIL")[0]


@pytest.mark.parametrize(
    ("given", "proxies", "believed"),
    [
        ("9f86d081-884c.7d65:1", 1, True),
        ("9f86d081-884c.7d65:1", 0, False),
        ("", 1, False),
        ("with space", 1, False),
        ("two,ids", 1, False),
        ("\u00fc", 1, False),
        ("x" * 65, 1, False),
    ],
)
def test_a_request_id_is_taken_from_a_trusted_proxy_alone(
    settings: dict[str, str],
    request: pytest.FixtureRequest,
    lines: Lines,
    given: str,
    proxies: int,
    believed: bool,  # noqa: FBT001 - the table's column
) -> None:
    settings["TRUSTED_PROXIES"] = str(proxies)
    api = request.getfixturevalue("api")
    answers = [api.client.get("/nowhere", headers={"X-Request-ID": given}) for _ in range(2)]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert [line["request_id"] for line in lines()] == ids
    if believed:
        assert ids == [given, given]
    else:
        assert all(re.fullmatch("[0-9a-f]{24}", one) for one in ids)
        assert ids[0] != ids[1]


HOSTILE = '1\r\n{"event": "forged"}\x1b[2J'


def test_no_line_can_be_forged(api: Api, lines: Lines) -> None:
    api.client.get("/nowhere", environ_overrides={"REMOTE_ADDR": HOSTILE})
    (line,) = lines()
    assert line["address"] == HOSTILE


@pytest.fixture
def developed(settings: dict[str, str], request: pytest.FixtureRequest) -> Flask:
    """The app as one develops it."""
    settings["KEYTURN_ENV"] = "development"
    app: Flask = request.getfixturevalue("app")
    return app


def test_in_development_lines_are_for_people(
    developed: Flask, capfd: pytest.CaptureFixture[str]
) -> None:
    developed.test_client().get("/nowhere", environ_overrides={"REMOTE_ADDR": HOSTILE})
    (line,) = capfd.readouterr().err.splitlines()
    assert re.match(r"[\d-]{10} [\d:]{8}\+00:00 info    request  +request_id='", line)
    assert "status=404" in line
    assert "\x1b" not in line


def test_in_development_an_error_is_told_with_its_trace(
    developed: Flask, capfd: pytest.CaptureFixture[str]
) -> None:
    developed.view_functions["docs.openapi"] = lambda: str(1 / 0)
    Api(developed.test_client()).get("/openapi.json", None)
    told = capfd.readouterr().err.splitlines()
    assert "error   unexpected_error" in told[0]
    assert told[1] == "Traceback (most recent call last):"
    assert told[-2] == "ZeroDivisionError: division by zero"
    assert "status=500" in told[-1]


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", [200, 200, 401, 403, 500]),
        ("info", [200, 401, 403, 500]),
        ("warning", [403, 500]),
        ("error", [500]),
    ],
)
def test_less_important_lines_can_be_left_out(
    settings: dict[str, str],
    request: pytest.FixtureRequest,
    lines: Lines,
    level: str,
    told: list[int],
) -> None:
    settings["LOG_LEVEL"] = level
    app = request.getfixturevalue("app")
    api = Api(app.test_client())
    app.view_functions["docs.openapi"] = lambda: 1 / 0
    api.get("/livez", None)
    access = api.tokens()["accessToken"]
    api.me(None)
    wrong = {"currentPassword": "wrong", "newPassword": "correct horse battery"}
    api.send("PUT", "/users/me/password", access, wrong)
    api.get("/openapi.json", None)
    assert [line["status"] for line in lines() if "status" in line] == told


def test_a_log_that_nobody_takes_stops_no_request(client: FlaskClient) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    kept = os.dup(2)
    os.dup2(writer, 2)
    try:
        assert client.get("/nowhere").status_code == 404
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(writer)


def test_what_libraries_log_is_told_the_same_way(app: Flask, lines: Lines) -> None:
    log = logging.getLogger("somewhere")
    log.addHandler(Forwarder())
    log.propagate = False  # pytest would keep it too, and cannot send it on
    log.error("half %s\n\x9b", "\ud800", exc_info=ValueError(CANARY))
    (line,) = lines()
    assert (line["level"], line["logger"]) == ("error", "somewhere")
    assert line["event"] == "half \\ud800\n\\x9b"
    assert line["error"][0]["class"] == "ValueError"
    assert CANARY not in json.dumps(line)


def test_commands_log_nothing(app: Flask, capfd: pytest.CaptureFixture[str]) -> None:
    result = app.test_cli_runner().invoke(args=["sessions", "purge"], catch_exceptions=False)
    assert result.exit_code == 0
    assert capfd.readouterr().err == ""
