"""Two hosts of several workers each on one PostgreSQL, behind a real nginx."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jwt
import pytest
from flask import Flask

from tests.support import history
from tests.support.console import Run
from tests.support.nginx import Nginx
from tests.support.server import Answer, Server

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
