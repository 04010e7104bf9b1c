"""Clients that keep a book of what they were told, and a check of the books against the database.

Each client does what Keyturn asks of one: it stores an Idempotency-Key before it sends a refresh,
and sends it again, with the same key, until it is answered.
"""

import http.client
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import jwt
from flask import Flask

from keyturn.auth.models import RefreshToken
from tests.support.api import BOB
from tests.support.database import rows

PATIENCE = 120  # seconds that a client goes on asking; a bound, not an expectation
PAUSE = 0.05  # seconds between a failure and the next attempt


class Reply(Protocol):
    """What came back for a request."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Any: ...

    @property
    def json(self) -> Any: ...


# Sends method, path, body and headers; raises OSError or HTTPException where no answer comes.
Ask = Callable[[str, str, dict[str, str] | None, dict[str, str]], Reply]


@dataclass
class Chain:
    """What a client was told of one login: its refresh tokens, and that it is logged out."""

    tokens: list[str] = field(default_factory=list)
    is_ended: bool = False

    @property
    def login_id(self) -> str:
        return str(claims(self.tokens[0])["sid"])


class Client:
    """Logs in, refreshes, asks who it is and now and then logs out, until it is stopped."""

    REFRESHES = 4  # of a login, before its logout

    def __init__(self, asks: Sequence[Ask], user: dict[str, str] = BOB) -> None:
        self._asks = asks
        self._user = user
        self._turn = 0
        self._stopped = threading.Event()
        self.chains: list[Chain] = []
        self.refreshes = 0
        self.unanswered_logins = 0
        self.refused: list[tuple[int, str | None]] = []  # 5xx, with its Retry-After
        self.fault: BaseException | None = None

    @property
    def last_token(self) -> str:
        """The refresh token it was given last."""
        return self.chains[-1].tokens[-1]

    def start(self) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Let it finish what it has begun, and stop."""
        self._stopped.set()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._live()
        except BaseException as error:  # noqa: BLE001 - told by `check`, in the test's own thread
            self.fault = error

    def _live(self) -> None:
        chain = self.log_in()
        for _ in range(self.REFRESHES):
            if self._stopped.is_set():
                return
            self.refresh(chain)
        self.log_out(chain)

    def log_in(self) -> Chain:
        """Begin a login, and use it once."""
        told = self._insist("POST", "/auth/login", self._user)
        chain = Chain([told.json["refreshToken"]])
        self.chains.append(chain)
        self._ask_who(told)
        return chain

    def refresh(self, chain: Chain) -> None:
        """Spend the newest token of a login, and use what came of it once."""
        told = self.try_to_refresh(chain.tokens[-1])
        assert told.status == 200, told.json
        chain.tokens.append(told.json["refreshToken"])
        self.refreshes += 1
        self._ask_who(told)

    def try_to_refresh(self, token: str) -> Reply:
        """Spend a token and return the answer, whatever it is, when there is one."""
        key = {"Idempotency-Key": str(uuid4())}
        return self._ask("POST", "/auth/refresh", {"refreshToken": token}, key)

    def log_out(self, chain: Chain) -> None:
        """End a login."""
        self._insist("DELETE", "/auth/logout", {"refreshToken": chain.tokens[-1]})
        chain.is_ended = True

    def _ask_who(self, told: Reply) -> None:
        bearer = {"Authorization": f"Bearer {told.json['accessToken']}"}
        assert self._insist("GET", "/users/me", None, bearer).json["email"] == self._user["email"]

    def _insist(
        self,
        method: str,
        path: str,
        body: dict[str, str] | None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        reply = self._ask(method, path, body, headers or {})
        assert reply.status < 400, (method, path, reply.status, reply.json)
        return reply

    def _ask(
        self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]
    ) -> Reply:
        """Ask until there is an answer, each time the next host."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._turn += 1
            ask = self._asks[self._turn % len(self._asks)]
            try:
                reply = ask(method, path, body, headers)
            except (OSError, http.client.HTTPException):
                self.unanswered_logins += path == "/auth/login"
            else:
                if reply.status < 500:
                    return reply
                self.unanswered_logins += path == "/auth/login"
                self.refused.append((reply.status, reply.headers.get("Retry-After")))
            time.sleep(PAUSE)
        raise AssertionError(f"no answer to {method} {path}")


def claims(token: str) -> dict[str, Any]:
    """What a token says, unchecked."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


@contextmanager
def at_work(asks: Sequence[Ask], count: int) -> Iterator[list[Client]]:
    """So many clients, that finish what they have begun at the end."""
    clients = [Client(asks) for _ in range(count)]
    with working(clients):
        yield clients


@contextmanager
def working(clients: Sequence[Client]) -> Iterator[None]:
    """Let clients work, and finish what they have begun at the end."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stop()
        for client in clients:
            client.join()


def wait_for_refreshes(clients: Iterable[Client], more: int) -> None:
    """Wait until each client has made so many more refreshes, or has a fault to tell."""
    goals = {client: client.refreshes + more for client in clients}
    wait_until(
        lambda: all(
            client.refreshes >= goal or client.fault is not None for client, goal in goals.items()
        )
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what must come true, within a bound that is no expectation."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True)
class Return:
    """What a client comes back with after a backup was restored, and what that is to get.

    `token` is the newest that it was told of a login, `code` the error, None where the login goes
    on. `chain` is what the backup holds of it: without a token if nothing.
    """

    client: Client
    chain: Chain
    token: str
    code: str | None


def told(clients: Iterable[Client]) -> dict[str, tuple[int, bool]]:
    """Return what clients were told until now: each login's generation, and whether it ended."""
    return {
        chain.login_id: (len(chain.tokens) - 1, chain.is_ended)
        for client in clients
        for chain in client.chains
    }


def cut_back(
    clients: Iterable[Client],
    told_before: dict[str, tuple[int, bool]],
    backup: Sequence[RefreshToken],
) -> list[Return]:
    """Leave in the clients' books what a backup holds: by design, what was told since is lost.

    What was `told_before` the backup began is in it, and nothing is that nobody was told.
    """
    logins = {str(login.id): login for login in backup}
    for login_id, (generation, is_ended) in told_before.items():
        assert logins[login_id].generation >= generation
        assert logins[login_id].revoked_reason == "logout" or not is_ended
    assert logins.keys() <= told(clients).keys()
    return [
        _cut_back(client, chain, logins.get(chain.login_id))
        for client in clients
        for chain in list(client.chains)
    ]


def _cut_back(client: Client, chain: Chain, login: RefreshToken | None) -> Return:
    newest = chain.tokens[-1]
    if login is None:
        client.chains.remove(chain)
        chain.tokens.clear()
        return Return(client, chain, newest, "refresh_invalid")
    is_lost = len(chain.tokens) > login.generation + 1
    assert len(chain.tokens) > login.generation
    assert chain.is_ended or login.revoked_at is None
    del chain.tokens[login.generation + 1 :]
    chain.is_ended = login.revoked_at is not None
    if chain.is_ended:
        return Return(client, chain, newest, "refresh_revoked")
    return Return(client, chain, newest, "refresh_invalid" if is_lost else None)


def check(app: Flask, clients: Sequence[Client]) -> None:
    """Compare what clients were told with what the database holds.

    No acknowledgement is lost, no login has a second chain, none that was ended is alive.
    """
    for client in clients:
        if client.fault is not None:
            raise client.fault
    logins = {str(login.id): login for login in rows(app, RefreshToken)}
    for chain in (chain for client in clients for chain in client.chains):
        login = logins.pop(chain.login_id)
        tokens = [claims(token) for token in chain.tokens]
        assert [one["gen"] for one in tokens] == list(range(len(tokens)))
        assert {one["sid"] for one in tokens} == {chain.login_id}
        assert login.generation == tokens[-1]["gen"]
        assert (login.revoked_reason == "logout") == chain.is_ended, login.revoked_reason
        assert (login.revoked_at is None) == (not chain.is_ended)
    # What is left was begun for a client that was not answered, and is not in use.
    assert len(logins) <= sum(client.unanswered_logins for client in clients)
    assert {login.generation for login in logins.values()} <= {0}
