"""Two hosts of several workers each on one PostgreSQL, behind a real nginx."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jwt
import pytest
from flask import Flask

from keyturn.audit.models import AuditEvent, Kind
from keyturn.parsing import DAY
from tests.support import history
from tests.support.api import BOB, JOHN
from tests.support.console import Run
from tests.support.database import rows
from tests.support.nginx import Nginx
from tests.support.nginx import Reply as Proxied
from tests.support.server import Answer, Server, insist

pytestmark = pytest.mark.usefixtures("_only_postgresql")

Hosts = tuple[Server, Server]
CLIENTS = 6


@pytest.fixture
def hosts(serve: Callable[..., Server]) -> Hosts:
    options = {"WEB_CONCURRENCY": 2, "THREADS": 4, "TRUSTED_PROXIES": 1}
    return serve(**options), serve(**options)


@pytest.fixture
def nginx(hosts: Hosts, tmp_path: Path) -> Iterator[Nginx]:
    first, second = (f"server 127.0.0.1:{host.port};" for host in hosts)
    changed = {first: f"{first} {second}"}
    nginx = Nginx(tmp_path, keyturn=hosts[0].port, orders=1, changed=changed)
    nginx.start()
    yield nginx
    nginx.stop()


def refresh(host: Server, token: str) -> Answer:
    return host.request("POST", "/auth/refresh", {"refreshToken": token})


def who(host: Server, access_token: str) -> Answer:
    return host.request("GET", "/users/me", headers={"Authorization": f"Bearer {access_token}"})


def test_eight_clients_over_both_hosts_make_one_new_generation(hosts: Hosts) -> None:
    token = hosts[0].login()["refreshToken"]
    for generation in range(1, 6):
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(refresh, hosts * 4, [token] * 8))
        assert [answer.status for answer in answers] == [200] * 8
        (token,) = {answer.json["refreshToken"] for answer in answers}
        assert history.claims(token)["gen"] == generation


def test_a_logout_at_one_host_holds_at_the_other_at_once(hosts: Hosts) -> None:
    here, there = hosts
    tokens = here.login()
    assert who(there, tokens["accessToken"]).status == 200
    here.request("DELETE", "/auth/logout", {"refreshToken": tokens["refreshToken"]})
    assert who(there, tokens["accessToken"]).json["code"] == "token_revoked"
    assert refresh(there, tokens["refreshToken"]).json["code"] == "refresh_revoked"


def test_keys_are_rotated_and_revoked_for_both_hosts(hosts: Hosts, run: Run) -> None:
    here, there = hosts
    old = here.login()
    assert run("keys", "rotate", "--now").exit_code == 0

    def signs_with_the_new_key(host: Server) -> bool:
        token = host.login()["accessToken"]
        assert {who(other, token).status for other in hosts} == {200}
        return kid(token) != kid(old["accessToken"])

    for host in hosts:
        host.wait_until(partial(signs_with_the_new_key, host))
    assert {who(host, old["accessToken"]).status for host in hosts} == {200}

    assert run("keys", "revoke", kid(old["accessToken"]), "--yes").exit_code == 0
    here.wait_until(lambda: {who(host, old["accessToken"]).status for host in hosts} == {401})
    assert refresh(there, old["refreshToken"]).status == 200


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


class TestGuesses:
    """Three wrong passwords for an account and seven from an address, and no more for hours."""

    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, "THROTTLE_ACCOUNT": f"3/{DAY}", "THROTTLE_ADDRESS": f"7/{DAY}"}

    def test_at_once_over_both_hosts_are_checked_as_many_as_allowed(
        self, hosts: Hosts, app: Flask
    ) -> None:
        bodies = [{**user, "password": "wrong"} for user in (BOB, JOHN) for _ in range(20)]
        with ThreadPoolExecutor(8) as many:
            answers = list(many.map(insist, hosts * 20, bodies))
        for ours in (answers[:20], answers[20:]):
            assert Counter(answer.status for answer in ours) == {401: 3, 429: 17}
        checked = [event for event in rows(app, AuditEvent) if event.kind == Kind.LOGIN_FAILED]
        assert len(checked) == 6

    def test_spent_at_one_host_are_spent_at_the_other(self, hosts: Hosts) -> None:
        here, there = hosts
        for _ in range(3):
            assert insist(here, {**BOB, "password": "wrong"}).status == 401
        for host in (there, here):
            assert_throttled(insist(host, BOB))
            assert insist(host, JOHN).status == 200

    def test_are_counted_by_the_address_of_the_client_behind_nginx(
        self, hosts: Hosts, nginx: Nginx
    ) -> None:
        for number in range(7):
            guess = {"email": f"{number}@example.com", "password": "wrong"}
            assert log_in(nginx, guess, source="127.0.0.2").status == 401
        for made_up in ("", "203.0.113.9"):
            for _ in hosts:  # they take turns
                assert_throttled(log_in(nginx, BOB, source="127.0.0.2", forwarded=made_up))
        for _ in hosts:
            assert log_in(nginx, BOB, source="127.0.0.3").status == 200


def log_in(nginx: Nginx, body: dict[str, str], *, source: str, forwarded: str = "") -> Proxied:
    headers = {"Content-Type": "application/json", "X-Forwarded-For": forwarded}
    return nginx.ask(
        "POST", "/auth/login", headers.items(), json.dumps(body).encode(), source=source
    )


def assert_throttled(answer: Answer | Proxied) -> None:
    assert (answer.status, answer.json["code"]) == (429, "too_many_attempts")
    assert int(answer.headers["Retry-After"]) > 3600


def test_a_host_killed_under_load_costs_no_client_its_login(
    hosts: Hosts, nginx: Nginx, app: Flask
) -> None:
    with history.at_work([nginx.send], CLIENTS) as clients:
        history.wait_for_refreshes(clients, 6)
        hosts[0].kill()
        history.wait_for_refreshes(clients, 6)
        hosts[0].start()
        history.wait_for_refreshes(clients, 6)
    history.check(app, clients)
