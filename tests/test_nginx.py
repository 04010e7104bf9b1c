"""docs/deploy/nginx.conf as it is, in a real nginx before a real Keyturn and a service."""

import json
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.conftest import SECRETS
from tests.support.databases import Databases
from tests.support.nginx import CONFIGURATION, Nginx, Orders, Reply
from tests.support.server import ROOT, Server, free_port

JSON = ("Content-Type", "application/json")

# What a client would send to be taken for somebody else.
SPOOFED = [
    (name, "00000000-0000-0000-0000-000000000001")
    for name in (
        "X-Auth-User",
        "x-auth-user",
        "X_Auth_User",
        "X.Auth.User",
        "X-Auth-Session",
        "X_Auth_Session",
    )
]


@pytest.fixture(scope="module")
def keyturn(databases: Databases) -> Iterator[Server]:
    url = databases.lasting_copy()
    server = Server({**SECRETS, "DATABASE_URL": url, "TRUSTED_PROXIES": "1", "THREADS": "4"})
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def orders() -> Iterator[Orders]:
    orders = Orders()
    yield orders
    orders.stop()


@pytest.fixture(scope="module")
def start_nginx(
    keyturn: Server, orders: Orders, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Nginx]]:
    """Start an nginx in front of the two, or where told otherwise."""
    started: list[Nginx] = []

    def start(keyturn: int = keyturn.port, changed: Mapping[str, str] | None = None) -> Nginx:
        folder = tmp_path_factory.mktemp("nginx")
        started.append(Nginx(folder, keyturn=keyturn, orders=orders.port, changed=changed))
        started[-1].start()
        return started[-1]

    yield start
    for nginx in started:
        nginx.stop()


@pytest.fixture(scope="module")
def nginx(start_nginx: Callable[..., Nginx]) -> Nginx:
    return start_nginx()


@pytest.fixture
def tokens(nginx: Nginx, orders: Orders) -> dict[str, str]:
    """Of a login through nginx. The service has seen nothing yet."""
    orders.seen.clear()
    body = b'{"email": "bob@gmail.com", "password": "bobPass"}'
    reply = nginx.ask("POST", "/auth/login", [JSON], body)
    assert reply.status == 200, reply.body
    return dict(json.loads(reply.body))


@pytest.fixture
def bearer(tokens: dict[str, str]) -> tuple[str, str]:
    return with_token(tokens["accessToken"])


def with_token(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def assert_keyturns_401(reply: Reply, code: str) -> None:
    assert reply.status == 401
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert json.loads(reply.body)["code"] == code
    assert len(reply.headers.get_all("WWW-Authenticate", [])) == 1
    assert reply.headers["WWW-Authenticate"].startswith('Bearer realm="keyturn"')
    assert reply.headers["Cache-Control"] == "no-store"


def test_a_good_token_gets_through_and_the_service_is_told_whose_it_is(
    nginx: Nginx, orders: Orders, bearer: tuple[str, str]
) -> None:
    reply = nginx.ask("GET", "/orders/1?x=2", [bearer])
    assert (reply.status, reply.body) == (200, b"orders")
    (seen,) = orders.seen
    assert (seen.method, seen.path) == ("GET", "/orders/1?x=2")
    me = json.loads(nginx.ask("GET", "/users/me", [bearer]).body)
    sessions = json.loads(nginx.ask("GET", "/auth/sessions", [bearer]).body)
    assert seen.sent("X-Auth-User") == [me["id"]]
    assert seen.sent("X-Auth-Session") == [one["id"] for one in sessions if one["current"]]


def test_a_body_reaches_the_service_and_not_the_check(
    nginx: Nginx, orders: Orders, bearer: tuple[str, str]
) -> None:
    body = b"x" * 200_000
    assert nginx.ask("POST", "/orders/", [bearer], body).status == 200
    (seen,) = orders.seen
    assert (seen.method, seen.body) == ("POST", body)


def test_what_a_client_claims_to_be_never_reaches_the_service(
    nginx: Nginx, orders: Orders, bearer: tuple[str, str]
) -> None:
    assert nginx.ask("GET", "/orders/", [*SPOOFED, bearer, *SPOOFED]).status == 200
    (seen,) = orders.seen
    assert len(seen.sent("X-Auth-User")) == 1
    assert len(seen.sent("X-Auth-Session")) == 1
    assert {value for _, value in SPOOFED}.isdisjoint(value for _, value in seen.headers)


def test_nor_does_it_where_nobody_is_checked(
    start_nginx: Callable[..., Nginx], orders: Orders, bearer: tuple[str, str]
) -> None:
    unguarded = "location /open/ { proxy_pass http://orders; }\n"
    nginx = start_nginx(changed={"# Asks Keyturn": f"{unguarded} # Asks Keyturn"})
    assert nginx.ask("GET", "/open/", [*SPOOFED, bearer]).status == 200
    (seen,) = orders.seen
    assert seen.sent("X-Auth-User") == seen.sent("X-Auth-Session") == []


def test_without_a_good_token_nothing_reaches_the_service(
    nginx: Nginx, orders: Orders, tokens: dict[str, str]
) -> None:
    assert_keyturns_401(nginx.ask("GET", "/orders/", SPOOFED), "missing_token")
    forged = with_token(tokens["accessToken"][:-4] + "AAAA")
    assert_keyturns_401(nginx.ask("GET", "/orders/", [forged]), "invalid_token")
    refresh = with_token(tokens["refreshToken"])
    assert_keyturns_401(nginx.ask("POST", "/orders/", [refresh], b"order"), "invalid_token")
    assert orders.seen == []


def test_a_401_of_the_service_itself_is_left_as_it_is(
    nginx: Nginx, bearer: tuple[str, str]
) -> None:
    reply = nginx.ask("GET", "/orders/closed", [bearer])
    assert (reply.status, reply.body) == (401, b"orders")


@pytest.mark.parametrize(
    "path",
    [
        "/auth/verify",
        "/auth/revocations",
        "/auth//introspect",
        "/auth/%76erify",
        "/auth/x/../verify",
        "/_verify",
        "/livez",
    ],
)
def test_what_is_asked_from_inside_cannot_be_asked_from_outside(
    nginx: Nginx, bearer: tuple[str, str], path: str
) -> None:
    reply = nginx.ask("GET", path, [bearer, *SPOOFED])
    assert reply.status == 404
    assert b"nginx" in reply.body


def test_keyturn_learns_the_clients_address_and_believes_no_client_about_it(
    nginx: Nginx, tokens: dict[str, str]
) -> None:
    claimed = ("X-Forwarded-For", "192.0.2.1")
    body = json.dumps({"refreshToken": tokens["refreshToken"]}).encode()
    reply = nginx.ask("POST", "/auth/refresh", [JSON, claimed], body, source="127.0.0.2")
    assert reply.status == 200
    bearer = with_token(json.loads(reply.body)["accessToken"])
    sessions = json.loads(nginx.ask("GET", "/auth/sessions", [bearer, claimed]).body)
    (current,) = [one for one in sessions if one["current"]]
    assert current["ipAddress"] == "127.0.0.2"


def test_connections_are_kept(nginx: Nginx, orders: Orders, bearer: tuple[str, str]) -> None:
    orders.connections.clear()
    for _ in range(8):
        assert nginx.ask("GET", "/orders/", [bearer]).status == 200
    assert len(orders.connections) <= 2


def test_the_readme_shows_lines_of_this_file() -> None:
    readme = (ROOT / "README.md").read_text()
    (snippet,) = readme.split("```nginx\n")[1:]
    lines = snippet.partition("```")[0].splitlines()
    known = {line.strip() for line in CONFIGURATION.read_text().splitlines()}
    assert len(lines) > 10
    assert {line.strip() for line in lines} <= known


def test_with_live_a_logout_counts_at_once(
    nginx: Nginx,
    start_nginx: Callable[..., Nginx],
    orders: Orders,
    tokens: dict[str, str],
    bearer: tuple[str, str],
) -> None:
    strict = start_nginx(changed={"/auth/verify;": "/auth/verify?live=1;"})
    assert strict.ask("GET", "/orders/?live=0", [bearer]).status == 200
    body = json.dumps({"refreshToken": tokens["refreshToken"]}).encode()
    assert nginx.ask("DELETE", "/auth/logout", [JSON], body).status == 204
    assert_keyturns_401(strict.ask("GET", "/orders/?live=0", [bearer]), "token_revoked")
    assert nginx.ask("GET", "/orders/", [bearer]).status == 200
    assert len(orders.seen) == 2


def test_while_keyturn_is_away_nothing_reaches_the_service(
    start_nginx: Callable[..., Nginx], orders: Orders, bearer: tuple[str, str]
) -> None:
    alone = start_nginx(keyturn=free_port())
    assert alone.ask("GET", "/orders/", [bearer, *SPOOFED]).status == 500
    assert orders.seen == []
