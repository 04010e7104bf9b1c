"""examples/orders as it is, a service of its own, beside a real Keyturn."""

import time
from collections.abc import Iterator

import pytest

from keyturn.commands import create_app
from tests.conftest import SECRETS, dispose
from tests.support.api import JOHN
from tests.support.databases import Databases
from tests.support.server import ROOT, Answer, Server, free_port
from tests.support.services import make_service_token

EXAMPLE = ROOT / "examples" / "orders"
HEARD_OF = 20  # seconds; a bound on hearing of a logout, not an expectation


@pytest.fixture(scope="module")
def settings(databases: Databases) -> dict[str, str]:
    port = str(free_port())
    issuer = f"http://127.0.0.1:{port}"
    url = databases.lasting_copy()
    return {**SECRETS, "DATABASE_URL": url, "PORT": port, "ISSUER": issuer, "THREADS": "4"}


@pytest.fixture(scope="module")
def keyturn(settings: dict[str, str]) -> Iterator[Server]:
    server = Server(settings)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def service_token(settings: dict[str, str]) -> str:
    app = create_app(settings)
    token = make_service_token(app)
    dispose(app)
    return token


@pytest.fixture(scope="module")
def orders(settings: dict[str, str], keyturn: Server, service_token: str) -> Iterator[Server]:
    port = str(free_port())
    environment = {
        "PORT": port,
        "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --threads 4 --no-control-socket",
        "KEYTURN_URL": settings["ISSUER"],
        "KEYTURN_SERVICE_TOKEN": service_token,
    }
    server = Server(environment, "orders:app", EXAMPLE)
    server.start("/livez")
    yield server
    server.close()


def ask(orders: Server, token: str, body: dict[str, str] | None = None) -> Answer:
    method = "GET" if body is None else "POST"
    return orders.request(method, "/orders", body, {"Authorization": f"Bearer {token}"})


def test_each_user_sees_what_is_theirs(keyturn: Server, orders: Server) -> None:
    bob = keyturn.login()["accessToken"]
    john = keyturn.login(JOHN["email"], JOHN["password"])["accessToken"]
    assert ask(orders, bob, {"item": "a key"}).status == 201
    assert ask(orders, bob).json == [{"item": "a key"}]
    assert ask(orders, john).json == []


def test_without_a_good_token_there_is_a_problem_and_a_challenge(
    keyturn: Server, orders: Server
) -> None:
    refresh_token = keyturn.login()["refreshToken"]
    for answer, code in (
        (orders.request("GET", "/orders"), "missing_token"),
        (ask(orders, refresh_token), "invalid_token"),
    ):
        assert (answer.status, answer.json["code"]) == (401, code)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_logout_at_keyturn_is_seen_here_within_seconds(keyturn: Server, orders: Server) -> None:
    bob = keyturn.login()
    token = bob["accessToken"]
    assert ask(orders, token).status == 200
    keyturn.request("POST", "/auth/logout", {"refreshToken": bob["refreshToken"]})

    deadline = time.monotonic() + HEARD_OF
    while (answer := ask(orders, token)).status == 200:
        assert time.monotonic() < deadline, "nothing was heard of the logout"
        time.sleep(0.1)
    assert (answer.status, answer.json["code"]) == (401, "token_revoked")


def test_the_readme_shows_the_example_for_flask() -> None:
    guard = (EXAMPLE / "orders.py").read_text().partition("\n\n\n@app.post")[0]
    assert guard[guard.index("from keyturn.bearer") :] in (ROOT / "README.md").read_text()
