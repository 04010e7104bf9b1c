"""Whether time tells that an account exists: `python -m bench.enumeration`.

Of refused logins, and of registrations whose answer is the same.

Sends each case once before any comes again, in random order, so that whatever else the machine does
meets all alike, and compares the medians of many.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median

from bench.service import JSON, Client, service, show

ATTEMPTS = 200  # of each case


@dataclass(frozen=True)
class Case:
    """What is sent where, and what for. An e-mail may hold the number of the request."""

    name: str
    email: str
    password: str
    path: str = "/auth/login"

    def body(self, number: int) -> str:
        """Return the JSON of a request."""
        fields = {"email": self.email.format(number), "password": self.password}
        return json.dumps(fields if self.path == "/auth/login" else {**fields, "name": "Ann"})


LOGINS = (
    Case("wrong password", "bob@gmail.com", "wrong"),
    Case("unknown account", "nobody@gmail.com", "wrong"),
    Case("disabled account", "john@gmail.com", "wrong"),
    Case("disabled account, right password", "john@gmail.com", "johnPass"),
)

PASSWORD = "a phrase of nobody's"  # noqa: S105 - of users that live as long as this program
REGISTRATIONS = (
    Case("taken e-mail", "bob@gmail.com", PASSWORD, "/users"),
    Case("new e-mail", "{}@example.com", PASSWORD, "/users"),
)

# As often as this program tries, and once in a long time.
OFTEN = {"THROTTLE_ACCOUNT": "100/1", "THROTTLE_ADDRESS": "1000000/1", "THROTTLE_ALL": "1000000/1"}
ONCE = {**OFTEN, "THROTTLE_ACCOUNT": "1/86400"}
PRIVATE = {**OFTEN, "REGISTRATION": "open", "REGISTRATION_PRIVATE": "on"}


def measure() -> dict[int, dict[str, float]]:
    """Return the median milliseconds of each case, by the status it is answered with."""
    return {
        HTTPStatus.UNAUTHORIZED: _medians(LOGINS, HTTPStatus.UNAUTHORIZED, OFTEN),
        HTTPStatus.TOO_MANY_REQUESTS: _medians(LOGINS, HTTPStatus.TOO_MANY_REQUESTS, ONCE),
        HTTPStatus.ACCEPTED: _medians(REGISTRATIONS, HTTPStatus.ACCEPTED, PRIVATE),
    }


def ratios(medians: dict[str, float]) -> dict[str, float]:
    """Return each case's median as a ratio to that of the first one."""
    first = next(iter(medians.values()))
    return {name: value / first for name, value in medians.items()}


def _medians(cases: Sequence[Case], status: int, settings: dict[str, str]) -> dict[str, float]:
    order = random.Random(0)
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    with service("users disable john@gmail.com", WEB_CONCURRENCY="1", **settings) as server:
        client = Client(server.port)
        for case in cases:  # warm up; and where an account is tried once, this was it
            _time(client, case, ATTEMPTS)
        for number in range(ATTEMPTS):
            for case in order.sample(cases, len(cases)):
                taken, answered = _time(client, case, number)
                if answered != status:
                    raise RuntimeError(f"{case.name} was answered {answered}")
                times[case.name].append(taken)
    return {name: median(taken) for name, taken in times.items()}


def _time(client: Client, case: Case, number: int) -> tuple[float, int]:
    body = case.body(number)
    begin = time.perf_counter()
    status = client.send("POST", case.path, body, JSON)
    return (time.perf_counter() - begin) * 1000, status


def main() -> None:
    """Print what was measured."""
    for status, medians in measure().items():
        compared = ratios(medians)
        show(
            [
                {
                    "answered": f"{status} {name}",
                    "median ms": f"{medians[name]:.2f}",
                    "ratio": f"{compared[name]:.3f}",
                }
                for name in medians
            ]
        )


if __name__ == "__main__":
    main()
