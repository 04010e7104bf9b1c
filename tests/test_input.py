"""Whatever bytes come in: one error shape, no 5xx, and nothing lost."""

import json
from collections.abc import Callable, Iterator
from io import BytesIO, RawIOBase

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from keyturn.http.body import MAX_BODY
from keyturn.http.contract import Contract, contract_of
from tests.support.api import BOB, Api, assert_problem
from tests.support.routes import api_rules
from tests.support.server import Server

JSON = "application/json"
LOGIN = json.dumps(BOB).encode()


def post(client: FlaskClient, data: bytes, content_type: str | None = JSON) -> TestResponse:
    return client.post("/auth/login", data=data, content_type=content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/jsonp",
        "application/json, text/plain",
        "\u00fc/\u00fc",
    ],
)
def test_a_body_that_is_not_said_to_be_json_is_415(
    client: FlaskClient, content_type: str | None
) -> None:
    assert_problem(post(client, LOGIN, content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", 'application/json; charset="UTF-8"'],
)
def test_json_may_be_said_in_several_ways(client: FlaskClient, content_type: str) -> None:
    assert post(client, LOGIN, content_type).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        b"{",
        b'{"email"}',
        b"{'email': 'bob@gmail.com'}",
        LOGIN + b"x",
        LOGIN + LOGIN,
        b"\xef\xbb\xbf" + LOGIN,
        LOGIN.decode().encode("utf-16"),
        b'{"email": "\xff\xfe"}',
        b'{"email": "bob@gmail.com", "password": "\xed\xa0\x80"}',
        rb'{"email": "bob@gmail.com", "password": "\ud800"}',
        rb'{"\udfff": "bob@gmail.com"}',
        b'{"email": "bob@gmail.com", "email": "john@gmail.com", "password": "bobPass"}',
        b'{"email": "a\nb", "password": "bobPass"}',
        b"NaN",
        b'{"email": Infinity}',
        b'{"email": 1' + b"0" * 5000 + b"}",
        b"[" * 60_000,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        bytes(range(256)),
    ],
)
def test_a_body_that_is_not_json_is_400(client: FlaskClient, data: bytes) -> None:
    assert_problem(post(client, data), 400, "invalid_json")


@pytest.mark.parametrize("data", [b"[]", b"null", b"true", b"1", b"1e999", b'"text"', b"[{}]"])
def test_json_that_is_no_object_is_422(client: FlaskClient, data: bytes) -> None:
    assert_problem(post(client, data), 422, "validation_failed")


def test_a_body_that_lacks_a_field_or_has_another_one_is_422(client: FlaskClient) -> None:
    for document in ({}, {"email": BOB["email"]}, {**BOB, "isAdmin": True}, {**BOB, "": ""}):
        problem = assert_problem(
            post(client, json.dumps(document).encode()), 422, "validation_failed"
        )
        assert problem["errors"]


def test_a_body_over_64_kib_is_413_however_it_comes(client: FlaskClient) -> None:
    for size in (MAX_BODY + 1, 10_000_000):
        assert_problem(post(client, b" " * size), 413, "body_too_large")
        chunked = client.post(
            "/auth/login",
            input_stream=BytesIO(b" " * size),
            content_type=JSON,
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert_problem(chunked, 413, "body_too_large")
    padded = LOGIN + b" " * (MAX_BODY - len(LOGIN))
    assert post(client, padded).status_code == 200


HOSTILE: list[object] = [
    None,
    True,
    0,
    -1,
    1e308,
    10**400,
    "",
    " ",
    "\0",
    "a\0b",
    "a\r\nSet-Cookie: a=b",
    "\u202e\u2066",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "%",
    "_%' OR 1=1; DROP TABLE users; --",
    "{{7*7}}${7*7}",
    "../../../../etc/passwd",
    "x" * 5000,
    "\U0001f600" * 5000,
    "a." * 5000,
    [],
    ["bob@gmail.com"],
    {},
    {"$ne": ""},
    [[[[[[[[]]]]]]]],
]

FITTING = {
    "email": BOB["email"],
    "password": BOB["password"],
    "name": "Robert",
    "currentPassword": BOB["password"],
    "newPassword": "correct horse battery",
}


def routes_with_a_body(app: Flask) -> Iterator[tuple[str, str, Contract]]:
    for rule in api_rules(app):
        contract = contract_of(app.view_functions[rule.endpoint])
        if contract.body is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, rule.rule, contract


def test_every_field_of_every_route_takes_hostile_values_and_nothing_is_lost(app: Flask) -> None:
    """All but one field fit; the one has every hostile value in turn."""
    api = Api(app.test_client())
    tokens = api.tokens()
    before = api.me(tokens["accessToken"]).get_json()
    asked = 0
    for method, path, contract in routes_with_a_body(app):
        assert contract.body is not None
        names = [field.data_key or name for name, field in contract.body.fields.items()]
        fitting = {name: FITTING.get(name, "something") for name in names}
        for name in names:
            for value in HOSTILE:
                answer = api.send(method, path, tokens["accessToken"], {**fitting, name: value})
                asked += 1
                # A name may be a picture or read like code: it is text, and kept as it is.
                assert answer.status_code < 500, (method, path, name, value, answer.text)
                if answer.status_code >= 400:
                    assert_problem(answer, answer.status_code, answer.get_json()["code"])
    assert asked > 100
    assert api.me(tokens["accessToken"]).get_json() | {"name": "Bob"} == before
    assert api.refresh(tokens["refreshToken"]).status_code == 200


def test_sql_in_a_field_finds_nobody(api: Api) -> None:
    for email in ("' OR '1'='1", "%", "bob@gmail.com' --", "bob%@gmail.com", "b_b@gmail.com"):
        answer = api.login({"email": email, "password": BOB["password"]})
        assert answer.status_code in {401, 422}


def test_a_password_of_a_megabyte_costs_no_hash(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_hash(*_: object) -> None:
        raise AssertionError("a hash was computed")

    monkeypatch.setattr("keyturn.passwords.Passwords.verify", no_hash)
    assert_problem(api.login({**BOB, "password": "x" * 1_000_000}), 413, "body_too_large")
    assert_problem(api.login({**BOB, "password": "x" * 1025}), 422, "validation_failed")


def test_a_password_of_1024_characters_works(api: Api) -> None:
    tokens = api.tokens()
    password = "".join(map(chr, range(0x1F300, 0x1F500))) * 2  # 4,096 bytes of UTF-8
    change = {"currentPassword": BOB["password"], "newPassword": password}
    assert api.send("PUT", "/users/me/password", tokens["accessToken"], change).status_code == 204
    assert api.login({**BOB, "password": password}).status_code == 200


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "missing_token"),
        ("Bearer", "missing_token"),
        ("Bearer ", "missing_token"),
        ("Basic Ym9iOmJvYlBhc3M=", "missing_token"),
        ("Token {token}", "missing_token"),
        ("{token}", "missing_token"),
        ("Bearer{token}", "missing_token"),
        ("Bearer\t{token}", "missing_token"),
        ("Bearer {token} {token}", "invalid_token"),
        ("Bearer {token}, Bearer {token}", "invalid_token"),
        ("Bearer {token},", "invalid_token"),
        ('Bearer "{token}"', "invalid_token"),
        ("Bearer {token}; charset=utf-8", "invalid_token"),
        ("Bearer Bearer {token}", "invalid_token"),
        ("Bearer \u00fc{token}", "invalid_token"),
        ("Bearer {token}\u00a0", "invalid_token"),
    ],
)
def test_an_odd_authorization_is_401(api: Api, value: str, code: str) -> None:
    sent = value.format(token=api.tokens()["accessToken"])
    answer = api.client.get("/users/me", headers={"Authorization": sent})
    assert_problem(answer, 401, code)


def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    token = api.tokens()["accessToken"]
    for scheme in ("bearer", "BEARER", "bEaReR", "Bearer  "):
        answer = api.client.get("/users/me", headers={"Authorization": f"{scheme} {token}"})
        assert answer.status_code == 200


def test_a_token_anywhere_else_is_no_token(api: Api) -> None:
    """RFC 9700 section 4.3.2: not in a query, where it would end up in logs."""
    token = api.tokens()["accessToken"]
    api.client.set_cookie("access_token", token)
    answer = api.client.get(
        f"/users/me?access_token={token}&token={token}",
        headers={"X-Access-Token": token, "X-Authorization": f"Bearer {token}"},
        json={"access_token": token},
    )
    assert_problem(answer, 401, "missing_token")


@pytest.mark.parametrize("key", ["", " ", "a b", "\u00fc", "x" * 256, "a\tb"])
def test_an_idempotency_key_that_is_none_is_400(api: Api, key: str) -> None:
    token = api.tokens()["refreshToken"]
    assert_problem(api.refresh(token, key), 400, "invalid_header")
    assert api.refresh(token).status_code == 200


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "CONNECT", "BREW"])
def test_a_method_nobody_knows_is_405(client: FlaskClient, method: str) -> None:
    answer = client.open("/users/me", method=method, headers={"X-HTTP-Method-Override": "GET"})
    assert_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/users/me/",
        "//users/me",
        "/users//me",
        "/users/./me",
        "/auth/../users/me",
        "/users/me%00",
        "/users/me;a=b",
        "/USERS/ME",
        "/users/me%2f",
        "/%ff%fe",
        "/auth/sessions/1",
        "/auth/sessions/%00",
        "/.git/config",
        "/.env",
        "/static/x",
    ],
)
def test_a_path_that_is_not_ours_is_404(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path, headers={"Accept": "text/html"}), 404, "not_found")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere.example:444"},
        {"Host": "no host"},
        {"Connection": "upgrade", "Upgrade": "websocket"},
    ],
)
def test_a_path_is_ours_whatever_the_host_or_the_offered_protocol(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    assert client.get("/livez", headers=headers).status_code == 200


class Stalled(RawIOBase):
    """A body that does not come: the socket's receive time-out ends the wait."""

    def read(self, _: int = -1) -> bytes:
        raise BlockingIOError


def test_a_body_that_does_not_come_is_408(client: FlaskClient) -> None:
    answer = client.post(
        "/auth/login",
        content_type=JSON,
        environ_overrides={"wsgi.input": Stalled(), "wsgi.input_terminated": True},
    )
    assert_problem(answer, 408, "request_timeout")


# --- what gunicorn sees first ---------------------------------------------------------------------


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


POST = ("POST /auth/login HTTP/1.1", "Host: keyturn", f"Content-Type: {JSON}", "Connection: close")

BROKEN_REQUESTS = {
    "no HTTP": b"hello\r\n\r\n",
    "no version": head("GET /users/me"),
    "a future version": head("GET /users/me HTTP/9.9"),
    "a space before the colon": head("GET /users/me HTTP/1.1", "Host : keyturn"),
    "a folded header": head("GET /users/me HTTP/1.1", "Host: keyturn", " folded: x"),
    "a NUL in a header": head("GET /users/me HTTP/1.1", "Host: keyturn", "X-A: a\0b"),
    "a header of 10 KB": head("GET /users/me HTTP/1.1", f"X-A: {'a' * 10_000}"),
    "a line of 10 KB": head(f"GET /{'a' * 10_000} HTTP/1.1"),
    "1000 headers": head("GET /users/me HTTP/1.1", *["X-A: a"] * 1000),
    "two lengths": head(*POST, "Content-Length: 5", "Content-Length: 6") + b"hello!",
    "a length of -1": head(*POST, "Content-Length: -1"),
    "a length of words": head(*POST, "Content-Length: five") + b"hello",
    "a length and chunks": head(*POST, "Content-Length: 5", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "an unknown encoding": head(*POST, "Transfer-Encoding: cow") + b"moo",
    "a chunk of no size": head(*POST, "Transfer-Encoding: chunked") + b"x\r\nhello\r\n0\r\n\r\n",
    "a chunk of -1": head(*POST, "Transfer-Encoding: chunked") + b"-1\r\nhello\r\n0\r\n\r\n",
    "a chunk that is longer": head(*POST, "Transfer-Encoding: chunked")
    + b"2\r\nhello\r\n0\r\n\r\n",
}


def test_broken_http_is_refused_in_the_one_shape_and_the_connection_ends(
    serve: Callable[..., Server],
) -> None:
    server = serve(WEB_CONCURRENCY=1)
    for name, data in BROKEN_REQUESTS.items():
        answer = server.raw(data)
        first, *_ = answer.split(b"\r\n")
        # RFC 9112 section 6.1: a transfer coding nobody knows is 501.
        assert first.split()[1][:1] == b"4" or b"501 Not Implemented" in first, (name, answer)
        assert answer.count(b"HTTP/1.1 ") == 1, (name, answer)
        _, _, body = answer.partition(b"\r\n\r\n")
        assert b"Content-Type: application/problem+json" in answer, (name, answer)
        assert json.loads(body)["status"] == int(first.split()[1]), (name, answer)
    assert server.login()["tokenType"] == "Bearer"


SECOND = head("GET /livez HTTP/1.1", "Host: keyturn", "Connection: close")


def test_what_follows_a_badly_framed_body_is_no_request(serve: Callable[..., Server]) -> None:
    """Request smuggling, RFC 9112 section 11.2: one answer, and the connection ends."""
    server = serve(WEB_CONCURRENCY=1)
    lines = [line for line in POST if not line.startswith("Connection")]
    for body in (b"x\r\n", b"-1\r\n", b"5;a\0=b\r\n", b"5\r\nhelloXX"):
        framed = head(*lines, "Transfer-Encoding: chunked") + body
        answer = server.raw(framed + SECOND, finish=True)
        assert answer.count(b"HTTP/1.1 ") == 1, answer
        assert b" 400 " in answer.split(b"\r\n")[0]


def test_a_body_that_breaks_off_is_400(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY=1)
    for body in (
        head(*POST, "Content-Length: 100"),
        head(*POST, "Transfer-Encoding: chunked") + b"5",
    ):
        answer = server.raw(body + b"{", finish=True)
        assert b" 400 " in answer.split(b"\r\n")[0], answer
        assert b'"incomplete_body"' in answer
