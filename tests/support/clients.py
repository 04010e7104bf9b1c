"""Clients of a real server, which remember everything they were answered."""

import http.client
import json
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import jwt

from tests.support.server import START_DEADLINE, Answer

BOB = {"email": "bob@gmail.com", "password": "bobPass"}


class Connection:
    """A connection that is kept alive for as long as the server says. It retries nothing."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=START_DEADLINE)

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Return the answer to a request. Raises `OSError` where there is none."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        if self._was_closed():
            self.close()  # and `request` opens another
        try:
            self._http.request(method, path, body and json.dumps(body), headers)
            response = self._http.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        except http.client.HTTPException as error:
            raise ConnectionError(*error.args) from error

    def _was_closed(self) -> bool:
        """Whether the server closed it while it was idle, which every client looks at first."""
        sock = self._http.sock
        return sock is not None and bool(select.select([sock], [], [], 0)[0])

    def close(self) -> None:
        self._http.close()


@dataclass
class Visitor:
    """Does one thing over and over until told to finish, and never again what failed."""

    port: int
    do: Callable[[Connection, Any], tuple[Answer, Any]]
    keep_alive: bool
    state: Any = None
    statuses: list[int] = field(default_factory=list)

    def run(self, finish: Event) -> None:
        """Go on at its own pace. Raises `OSError` for a request without an answer."""
        connection = Connection(self.port)
        while not finish.wait(0.005):
            answer, self.state = self.do(connection, self.state)
            self.statuses.append(answer.status)
            if not self.keep_alive:
                connection.close()
        connection.close()


def who_am_i(connection: Connection, access: str) -> tuple[Answer, str]:
    return connection.send("GET", "/users/me", None, {"Authorization": f"Bearer {access}"}), access


def refresh(connection: Connection, token: str) -> tuple[Answer, str]:
    answer = connection.send("POST", "/auth/refresh", {"refreshToken": token})
    return answer, answer.json.get("refreshToken")


def log_in(connection: Connection, _: None) -> tuple[Answer, None]:
    return connection.send("POST", "/auth/login", BOB), None


@dataclass
class History:
    """What a client was told of one login."""

    token: str
    refreshes: int = 0
    logged_out: bool = False

    @property
    def login_id(self) -> UUID:
        return UUID(jwt.decode(self.token, options={"verify_signature": False})["sid"])


@dataclass
class Persistent:
    """Logs in, refreshes and logs out; where an answer is lost, asks again with the same key."""

    port: int
    histories: list[History] = field(default_factory=list)

    def run(self, finish: Event) -> None:
        """Go on until told to finish. The last login stays alive."""
        while True:
            history = History(self._answered("POST", "/auth/login", BOB).json["refreshToken"])
            self.histories.append(history)
            for _ in range(8):
                key = {"Idempotency-Key": str(uuid4())}
                spent = {"refreshToken": history.token}
                answer = self._answered("POST", "/auth/refresh", spent, key)
                history.token = answer.json["refreshToken"]
                history.refreshes += 1
            if finish.is_set():
                return
            self._answered("DELETE", "/auth/logout", {"refreshToken": history.token})
            history.logged_out = True

    def _answered(self, *request: Any) -> Answer:
        deadline = time.monotonic() + START_DEADLINE
        while True:
            connection = Connection(self.port)
            try:
                answer = connection.send(*request)
            except OSError:
                assert time.monotonic() < deadline, "nobody answers any more"
                time.sleep(0.02)
                continue
            finally:
                connection.close()
            assert answer.status in {200, 204}, answer.body
            return answer
