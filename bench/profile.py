"""Where a worker's time goes to, route by route: `python -m bench.profile`.

Draws a flame graph of each route under load into docs/pictures, and prints each library's share:
of the moments in which a thread had a request, how often the innermost frame outside of the
standard library was the library's. Waiting for the disk or for a lock counts; a thread that waits
for work is `_next` or `_worker` in the pictures, and left out of the shares.
"""

import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.support.server import ROOT

from bench import load
from bench.load import CONNECTIONS, Load
from bench.servers import UNTHROTTLED, USERS, Served
from bench.service import ENVIRONMENT, service

SECONDS = 8
RATE = 250  # samples a second
HASHING = 4  # connections that log in: of more, one worker turns some away
WARM_UP = 1  # seconds, in which a new route's statements are compiled
PICTURES = ROOT / "docs" / "pictures"

_FRAME = re.compile(r" \((?P<file>[^()]+?)(:\d+)?\)$")
_STANDARD = sysconfig.get_path("stdlib")
_THREADS = str(ROOT / "src" / "keyturn" / "ops" / "threads.py")  # as the standard library's
_PACKAGES = sysconfig.get_path("purelib", vars={"base": str(ENVIRONMENT)})

Send = Callable[[int], Load]


def _routes(server: Served) -> dict[str, Send]:
    """Return what is sent for each route, for so many seconds."""
    bearer = server.log_in()["accessToken"]

    def ask(path: str) -> Send:
        return lambda seconds: load.get(server.url + path, bearer, seconds=seconds)

    tokens = [[server.log_in()["refreshToken"] for _ in range(CONNECTIONS)] for _ in range(3)]

    def refresh(seconds: int) -> Load:
        return load.refresh(f"{server.url}/auth/refresh", tokens.pop(), seconds=seconds)

    return {
        "users-me": ask("/users/me"),
        "auth-sessions": ask("/auth/sessions"),
        "auth-refresh": refresh,
        "auth-login": lambda seconds: load.login(
            f"{server.url}/auth/login", USERS, seconds=seconds, connections=HASHING
        ),
    }


def _watch(pid: int, sends: Future[Load], *arguments: str) -> None:
    spy = str(Path(sys.executable).with_name("py-spy"))
    command = [spy, "record", "--pid", str(pid), "--rate", str(RATE), "--duration", str(SECONDS)]
    subprocess.run([*command, *arguments], check=True, capture_output=True)
    if faults := sends.result().faults:
        raise RuntimeError(f"not everything was answered: {faults}")


def library_of(file: str) -> str | None:
    """Return the library that a file belongs to; None for the standard one's and our threads."""
    if file.startswith(f"{_PACKAGES}/"):
        return file.removeprefix(f"{_PACKAGES}/").split("/")[0].removesuffix(".py")
    if file.startswith((_STANDARD, _THREADS, "<")):
        return None
    return "keyturn" if file.startswith(str(ROOT)) else file


def shares(folded: str) -> Counter[str]:
    """Return each library's share of the samples, from stacks with counts, a line each."""
    counts: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        if library := _innermost(stack.split(";")):
            counts[library] += int(count)
    return counts


def _innermost(stack: Sequence[str]) -> str | None:
    files = (found["file"] for frame in reversed(stack) if (found := _FRAME.search(frame)))
    return next((library for file in files if (library := library_of(file))), None)


def main() -> None:
    """Draw and print."""
    with service(**UNTHROTTLED, WEB_CONCURRENCY="1") as server, ThreadPoolExecutor() as pool:
        (worker,) = server.worker_pids()
        for name, send in _routes(Served(f"http://127.0.0.1:{server.port}")).items():
            send(WARM_UP)
            picture = PICTURES / f"flame-{name}.svg"
            sends = pool.submit(send, SECONDS + 1)
            _watch(worker, sends, "--function", "--output", str(picture))
            picture.write_text(picture.read_text().replace(f"{ROOT}/", ""))
            folded = server.tmp / name
            sends = pool.submit(send, SECONDS + 1)
            raw = ["--format", "raw", "--full-filenames", "--output", str(folded)]
            _watch(worker, sends, *raw)
            counts = shares(folded.read_text())
            print(name)
            for library, count in counts.most_common(10):
                print(f"  {library:20} {count / counts.total():6.1%}")


if __name__ == "__main__":
    main()
