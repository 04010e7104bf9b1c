"""Keys from a Keyturn elsewhere: asked for rarely, kept for a bounded time, and never guessed."""

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keyturn.bearer import RemoteKeys
from keyturn.bearer.errors import KeysUnavailableError
from tests.bearer.conftest import Uptime
from tests.support.api import assert_problem
from tests.support.targets import another_service, target
from tests.support.tokens import as_json, key_pair, known_key, shared_secret
from tests.support.web import Asked, Reply, WebServer

FIRST = known_key("ES256")
SECOND = key_pair("ES256", "second")


def jwks(*keys: Any, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"keys": [key.public for key in keys]}, headers=named)


@pytest.fixture
def keys(web: WebServer, uptime: Uptime) -> RemoteKeys:
    """The keys of `web`, which has one."""
    web.reply = jwks(FIRST)
    return RemoteKeys(web.url, lifetime=300, cooldown=5, max_age=3600, clock=uptime, timeout=30)


def away(_: Asked) -> Reply:
    return Reply(status=503)


def knows(keys: RemoteKeys, kid: str) -> bool:
    return keys.find(kid) is not None


def test_nothing_is_asked_before_there_is_a_token(keys: RemoteKeys, web: WebServer) -> None:
    assert web.asked == []


def test_keys_are_asked_for_once_and_kept(keys: RemoteKeys, web: WebServer, uptime: Uptime) -> None:
    for _ in range(100):
        uptime.now += 2
        assert knows(keys, "first")
    assert len(web.asked) == 1


def test_keys_are_asked_for_again_when_they_are_no_longer_fresh(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    assert knows(keys, "first")
    web.reply = jwks(SECOND)
    uptime.now += 299
    assert knows(keys, "first")
    uptime.now += 1
    assert not knows(keys, "first")
    assert knows(keys, "second")
    assert len(web.asked) == 2


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("max-age=60", 60),
        ("public, max-age=60, must-revalidate", 60),
        ("MAX-AGE=60", 60),
        ("max-age=0", 5),
        ("max-age=86400", 300),
        ("s-maxage=60", 300),
        ("max-age=soon", 300),
        ("no-store", 300),
        ("", 300),
    ],
)
def test_how_long_they_are_fresh_the_answer_tells_within_bounds(
    keys: RemoteKeys, web: WebServer, uptime: Uptime, told: str, kept: int
) -> None:
    web.reply = jwks(FIRST, Cache_Control=told)
    assert knows(keys, "first")
    uptime.now += kept - 1
    assert knows(keys, "first")
    assert len(web.asked) == 1
    uptime.now += 1
    assert knows(keys, "first")
    assert len(web.asked) == 2


def test_an_unknown_kid_is_asked_for_once_more(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    assert knows(keys, "first")
    web.reply = jwks(FIRST, SECOND)
    uptime.now += 5
    assert knows(keys, "second")
    assert len(web.asked) == 2


def test_a_flood_of_invented_kids_costs_no_flood_of_requests(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    for number in range(1000):
        assert not knows(keys, f"invented-{number}")
    assert len(web.asked) == 1
    for number in range(1000):
        uptime.now += 0.01
        assert not knows(keys, f"invented-{number}")
        assert knows(keys, "first")
    assert len(web.asked) == 2


def test_a_flood_of_invented_kids_from_many_threads_costs_one_request(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    assert knows(keys, "first")
    uptime.now += 5
    with ThreadPoolExecutor(16) as threads:
        assert not any(threads.map(knows, [keys] * 200, map(str, range(200))))
    assert len(web.asked) == 2


def test_many_threads_ask_once_and_all_get_the_answer(keys: RemoteKeys, web: WebServer) -> None:
    everybody_is_there = threading.Barrier(16)

    def look_up(_: int) -> bool:
        everybody_is_there.wait()
        return knows(keys, "first")

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(look_up, range(16)))
    assert len(web.asked) == 1


def test_who_has_keys_to_go_on_with_does_not_wait_for_who_asks(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    assert knows(keys, "first")
    uptime.now += 300
    asked, may_answer = threading.Event(), threading.Event()

    def slowly(_: Asked) -> Reply:
        asked.set()
        may_answer.wait()
        return jwks(FIRST)

    web.reply = slowly
    with ThreadPoolExecutor(2) as threads:
        who_asks = threads.submit(knows, keys, "first")
        asked.wait()
        assert threads.submit(knows, keys, "first").result(timeout=20)
        assert not who_asks.done()
        may_answer.set()
        assert who_asks.result()
    assert len(web.asked) == 2


def test_while_keyturn_is_away_old_keys_serve_for_a_bounded_time(
    keys: RemoteKeys, web: WebServer, uptime: Uptime, caplog: pytest.LogCaptureFixture
) -> None:
    assert knows(keys, "first")
    web.reply = away
    uptime.now += 3599
    assert knows(keys, "first")
    assert "no keys from" in caplog.text
    uptime.now += 1
    with pytest.raises(KeysUnavailableError):
        keys.find("first")
    web.reply = jwks(FIRST)
    uptime.now += 5
    assert knows(keys, "first")


def test_a_keyturn_that_is_away_is_not_asked_by_every_request(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    web.reply = away
    for _ in range(100):
        with pytest.raises(KeysUnavailableError) as unavailable:
            keys.find("first")
        assert unavailable.value.retry_after == 5
    assert len(web.asked) == 1
    uptime.now += 4.5
    with pytest.raises(KeysUnavailableError) as unavailable:
        keys.find("first")
    assert unavailable.value.retry_after == 1
    assert len(web.asked) == 1


def test_a_kid_that_may_be_a_new_one_is_not_called_wrong(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    assert not knows(keys, "second")
    web.reply = away
    uptime.now += 5
    for _ in range(2):
        with pytest.raises(KeysUnavailableError):
            keys.find("second")
        assert knows(keys, "first")
    assert len(web.asked) == 2


BAD = {
    "status": Reply(FIRST.jwks(), status=500),
    "no content": Reply(status=204),
    "not JSON": Reply(b"<html>"),
    "no key set": Reply({"keys": "none"}),
    "no keys": Reply({"keys": []}),
    "a name twice": Reply(b'{"keys": [], "keys": []}'),
    "too large": Reply(as_json(FIRST.jwks()) + b" " * 64 * 1024),
    "broken off": Reply(FIRST.jwks(), headers={"Content-Length": "9"}),
    "a private key": jwks(FIRST.leaked()),
    "two of one kid": jwks(FIRST, key_pair("ES256")),
    "a shared secret": jwks(shared_secret(b"x" * 32, "first")),
    "a secret among them": jwks(FIRST, shared_secret(b"x" * 32, "secret")),
}


@pytest.mark.parametrize("reply", BAD.values(), ids=BAD.keys())
def test_an_answer_that_must_not_be_trusted_is_as_good_as_none(
    keys: RemoteKeys, web: WebServer, uptime: Uptime, reply: Reply
) -> None:
    web.reply = reply
    with pytest.raises(KeysUnavailableError):
        keys.find("first")
    web.reply = jwks(FIRST)
    uptime.now += 5
    assert knows(keys, "first")
    web.reply = reply
    uptime.now += 300
    assert knows(keys, "first")


def test_a_redirect_is_not_followed(keys: RemoteKeys, web: WebServer) -> None:
    def redirect(asked: Asked) -> Reply:
        location = {"Location": f"{web.url}/elsewhere"}
        return jwks(FIRST) if asked.path == "/elsewhere" else Reply(status=302, headers=location)

    web.reply = redirect
    with pytest.raises(KeysUnavailableError):
        keys.find("first")
    assert [asked.path for asked in web.asked] == ["/"]


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_server_that_says_nothing_is_given_up(silent: str) -> None:
    keys = RemoteKeys(silent, timeout=0.05)
    with ThreadPoolExecutor(1) as thread, pytest.raises(KeysUnavailableError):
        thread.submit(keys.find, "first").result(timeout=20)


def test_a_server_that_dribbles_is_given_up(web: WebServer) -> None:
    web.reply = Reply(FIRST.jwks(), pause=0.02)
    with pytest.raises(KeysUnavailableError):
        RemoteKeys(web.url, timeout=0.2).find("first")


def test_a_server_that_is_not_there_is_no_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(KeysUnavailableError):
        RemoteKeys(f"http://127.0.0.1:{port}/").find("first")


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.com/jwks.json", "data:application/json,{}"),
        *("", "/jwks.json", "auth.example.com/jwks.json", "http://", "http:///jwks.json"),
        "https://user:password@example.com/jwks.json",
    ],
)
def test_only_http_and_https_are_asked(url: str) -> None:
    with pytest.raises(ValueError, match="not an http or https URL"):
        RemoteKeys(url)


def test_shared_secrets_cannot_even_be_allowed(web: WebServer) -> None:
    with pytest.raises(ValueError, match="a shared secret is not for a public key set"):
        RemoteKeys(web.url, algorithms=["ES256", "HS256"])


def test_a_service_that_cannot_check_says_503_and_not_that_the_token_is_wrong(
    keys: RemoteKeys, web: WebServer, uptime: Uptime
) -> None:
    orders = target(another_service(keys), FIRST)
    web.reply = away
    answer = orders.get(orders.token())
    assert_problem(answer, 503, "keys_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert "WWW-Authenticate" not in answer.headers
    web.reply = jwks(FIRST)
    uptime.now += 5
    assert orders.lets_in(orders.token())
    orders.refuses(orders.token({"kid": "invented"}))


def test_a_token_without_a_shape_costs_no_request(keys: RemoteKeys, web: WebServer) -> None:
    orders = target(another_service(keys), FIRST)
    good = orders.token()
    for token in ("a.b.c", "x", orders.token({"crit": ["x"]}), f"={good}", f"{good}.a"):
        orders.refuses(token)
    assert web.asked == []


def test_no_key_is_told_in_the_log(
    keys: RemoteKeys, web: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    secret = shared_secret(b"hush" * 8, "secret")
    web.reply = jwks(secret)
    with caplog.at_level(logging.DEBUG), pytest.raises(KeysUnavailableError):
        keys.find("secret")
    assert "no keys from" in caplog.text
    assert secret.public["k"] not in caplog.text
