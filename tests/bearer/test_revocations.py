"""Ended logins, heard of from a Keyturn elsewhere within seconds."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from keyturn.bearer import RevocationFeed, StaticKeys
from tests.bearer.conftest import Uptime
from tests.support.targets import another_service, target
from tests.support.tokens import known_key
from tests.support.web import Asked, Reply, WebServer

TOKEN = "keyturn_svc_of_the_shop"


class FakeFeed:
    """Answers as Keyturn does: what came after the cursor, a page at a time, and a new cursor."""

    PAGE = 3

    def __init__(self) -> None:
        self.ended: list[str] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers["Authorization"] != f"Bearer {TOKEN}":
            return Reply(status=401)
        since = int(parse_qs(urlsplit(asked.path).query).get("since", ["0"])[0])
        page = self.ended[since : since + self.PAGE]
        entries = [{"sid": sid, "revokedAt": "2026-11-24T12:00:00Z"} for sid in page]
        return Reply({"revocations": entries, "next": str(since + len(page))})


@pytest.fixture
def keyturn(web: WebServer) -> FakeFeed:
    web.reply = feed = FakeFeed()
    return feed


@pytest.fixture
def new_feed(web: WebServer, uptime: Uptime) -> Iterator[Callable[..., RevocationFeed]]:
    """Make feeds of `web`, which poll when the test says so, unless it asks for more."""
    made: list[RevocationFeed] = []

    def make(interval: float = 1e6, **options: Any) -> RevocationFeed:
        options = {"service_token": TOKEN, "clock": uptime, **options}
        feed = RevocationFeed(f"{web.url}/auth/revocations", interval=interval, **options)
        made.append(feed)
        return feed

    yield make
    for feed in made:
        feed.stop()


@pytest.fixture
def feed(keyturn: FakeFeed, new_feed: Callable[..., RevocationFeed]) -> RevocationFeed:
    return new_feed()


def paths(web: WebServer) -> list[str]:
    return [asked.path for asked in web.asked]


def test_nothing_is_asked_before_there_is_a_token(feed: RevocationFeed, web: WebServer) -> None:
    assert web.asked == []


def test_what_ended_before_the_first_look_up_is_known(
    feed: RevocationFeed, keyturn: FakeFeed, web: WebServer
) -> None:
    keyturn.ended += ["a", "b"]
    assert "a" in feed
    assert "b" in feed
    assert "c" not in feed
    assert paths(web) == ["/auth/revocations", "/auth/revocations?since=2"]


def test_only_what_is_new_is_asked_for_and_all_pages_of_it(
    feed: RevocationFeed, keyturn: FakeFeed, web: WebServer
) -> None:
    assert "0" not in feed
    keyturn.ended += map(str, range(7))
    web.asked.clear()
    feed.poll()
    assert all(str(number) in feed for number in range(7))
    assert paths(web) == [f"/auth/revocations?since={since}" for since in (0, 3, 6, 7)]


def test_a_feed_that_does_not_move_is_not_asked_for_ever(
    feed: RevocationFeed, web: WebServer
) -> None:
    web.reply = Reply({"revocations": [{"sid": "a"}], "next": "same"})
    assert "a" in feed
    assert len(web.asked) == 2


def test_a_login_is_forgotten_when_no_token_of_it_can_be_in_date(
    feed: RevocationFeed, keyturn: FakeFeed, uptime: Uptime
) -> None:
    keyturn.ended.append("a")
    assert "a" in feed
    uptime.now += 3600 + 299
    keyturn.ended.append("b")
    feed.poll()
    assert "a" in feed
    uptime.now += 1
    feed.poll()
    assert "a" not in feed
    assert "b" in feed


BAD = {
    "away": Reply(status=503),
    "forbidden": Reply(status=401),
    "not JSON": Reply(b"<html>"),
    "no object": Reply([]),
    "no list": Reply({"revocations": 1, "next": "1"}),
    "no entries": Reply({"revocations": ["a"], "next": "1"}),
    "no sid": Reply({"revocations": [{}], "next": "1"}),
    "a number": Reply({"revocations": [{"sid": 1}], "next": "1"}),
    "no cursor": Reply({"revocations": []}),
    "an odd cursor": Reply({"revocations": [], "next": 1}),
    "too large": Reply(b'{"revocations": [], "next": "1"}' + b" " * 4 * 1024 * 1024),
}


@pytest.mark.parametrize("reply", BAD.values(), ids=BAD.keys())
def test_after_a_failure_what_was_heard_stays_and_the_feed_is_read_anew(
    feed: RevocationFeed,
    keyturn: FakeFeed,
    web: WebServer,
    reply: Reply,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keyturn.ended.append("a")
    assert "a" in feed
    web.reply = reply
    feed.poll()
    assert "a" in feed
    assert "no revocations from" in caplog.text
    assert TOKEN not in caplog.text
    web.asked.clear()
    keyturn.ended.append("b")
    web.reply = keyturn
    feed.poll()
    assert "b" in feed
    assert paths(web)[0] == "/auth/revocations"


def test_a_keyturn_that_is_away_at_the_start_lets_tokens_live(
    feed: RevocationFeed, keyturn: FakeFeed, web: WebServer
) -> None:
    web.reply = Reply(status=503)
    keyturn.ended.append("a")
    assert "a" not in feed
    web.reply = keyturn
    feed.poll()
    assert "a" in feed


def test_a_thread_asks_in_the_background(
    keyturn: FakeFeed, new_feed: Callable[..., RevocationFeed], web: WebServer
) -> None:
    feed = new_feed(interval=0.01)
    assert "a" not in feed
    keyturn.ended.append("a")
    wait_until(lambda: "a" in feed)
    assert pollers() == 1
    feed.stop()
    assert pollers() == 0


def pollers() -> int:
    return [thread.name for thread in threading.enumerate()].count("revocations")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12: threads, and a fork
def test_a_process_that_was_forked_asks_for_itself(
    keyturn: FakeFeed, new_feed: Callable[..., RevocationFeed]
) -> None:
    feed = new_feed(interval=0.01)
    assert "a" not in feed
    feed.stop()
    keyturn.ended.append("a")
    child = multiprocessing.get_context("fork").Process(target=exit_with, args=[feed, "a"])
    child.start()
    child.join()
    assert child.exitcode == 0


def exit_with(feed: RevocationFeed, sid: str) -> None:
    os._exit(0 if sid in feed else 1)


def test_many_threads_start_one_thread(keyturn: FakeFeed, feed: RevocationFeed) -> None:
    others = [threading.Thread(target=feed.__contains__, args=["a"]) for _ in range(8)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert pollers() == 1


def test_a_service_refuses_the_token_of_a_login_that_ended(
    feed: RevocationFeed, keyturn: FakeFeed
) -> None:
    key = known_key("ES256")
    orders = target(another_service(StaticKeys(key.jwks()), revocations=feed), key)
    assert orders.lets_in(orders.token())
    keyturn.ended.append(orders.claims["sid"])
    feed.poll()
    orders.refuses(orders.token(), "token_revoked")
    assert orders.lets_in(orders.token(sid="another"))


def test_without_a_feed_nothing_is_asked(keyturn: FakeFeed, web: WebServer) -> None:
    key = known_key("ES256")
    orders = target(another_service(StaticKeys(key.jwks())), key)
    assert orders.lets_in(orders.token())
    assert web.asked == []


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does; a bound, not an expectation."""
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")
