"""Whether the time of a refused login tells that the account exists: `python -m bench.enumeration`.

Sends each case once before any comes again, in random order, so that whatever else the machine does
meets all alike, and compares the medians of many.
"""

import json
import random
import time
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median

from bench.service import Client, service, show

ATTEMPTS = 200  # of each case

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Case:
    """Why a login is refused, and with what."""

    name: str
    email: str
    password: str


WRONG = Case("wrong password", "bob@gmail.com", "wrong")
CASES = (
    WRONG,
    Case("unknown account", "nobody@gmail.com", "wrong"),
    Case("disabled account", "john@gmail.com", "wrong"),
    Case("disabled account, right password", "john@gmail.com", "johnPass"),
)

# As often as this program tries, and once in a long time.
OFTEN = {"THROTTLE_ACCOUNT": "100/1", "THROTTLE_ADDRESS": "1000000/1", "THROTTLE_ALL": "1000000/1"}
ONCE = {**OFTEN, "THROTTLE_ACCOUNT": "1/86400"}


def measure() -> dict[int, dict[str, float]]:
    """Return the median milliseconds of each case, by the status it is refused with."""
    return {
        HTTPStatus.UNAUTHORIZED: _medians(HTTPStatus.UNAUTHORIZED, OFTEN),
        HTTPStatus.TOO_MANY_REQUESTS: _medians(HTTPStatus.TOO_MANY_REQUESTS, ONCE),
    }


def ratios(medians: dict[str, float]) -> dict[str, float]:
    """Return each case's median as a ratio to that of a wrong password."""
    return {name: value / medians[WRONG.name] for name, value in medians.items()}


def _medians(status: int, throttle: dict[str, str]) -> dict[str, float]:
    order = random.Random(0)
    times: dict[str, list[float]] = {case.name: [] for case in CASES}
    with service("users disable john@gmail.com", WEB_CONCURRENCY="1", **throttle) as server:
        client = Client(server.port)
        for case in CASES:  # warm up; and where an account is tried once, this was it
            _time(client, case)
        for _ in range(ATTEMPTS):
            for case in order.sample(CASES, len(CASES)):
                taken, answered = _time(client, case)
                if answered != status:
                    raise RuntimeError(f"{case.name} was answered {answered}")
                times[case.name].append(taken)
    return {name: median(taken) for name, taken in times.items()}


def _time(client: Client, case: Case) -> tuple[float, int]:
    body = json.dumps({"email": case.email, "password": case.password})
    begin = time.perf_counter()
    status = client.send("POST", "/auth/login", body, JSON)
    return (time.perf_counter() - begin) * 1000, status


def main() -> None:
    """Print what was measured."""
    for status, medians in measure().items():
        compared = ratios(medians)
        show(
            [
                {
                    "refused": f"{status} {name}",
                    "median ms": f"{medians[name]:.2f}",
                    "ratio": f"{compared[name]:.3f}",
                }
                for name in medians
            ]
        )


if __name__ == "__main__":
    main()
