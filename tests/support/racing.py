"""Several hosts that look after the signing keys of one database at the same moment.

Its arguments are the URLs of databases. To each, one after the other, processes are started that
share no memory; they wait for each other, and then all look after the keys, now and as if it were
some months later.
"""

import multiprocessing
import sys
from datetime import timedelta
from multiprocessing.synchronize import Barrier

from keyturn import clock
from keyturn.app import create_app
from keyturn.services import services

PROCESSES = 4
DAYS = (0, 100)  # from now: there is no key yet; the first one is overdue


def look_after_keys(url: str, together: Barrier) -> None:
    app = create_app({"DATABASE_URL": url})
    with app.app_context():
        for days in DAYS:
            together.wait()
            services().signer.refresh(clock.now() + timedelta(days=days))


def main(urls: list[str]) -> int:
    forked = multiprocessing.get_context("fork")  # as gunicorn does: imported once
    failed = 0
    for url in urls:
        together = forked.Barrier(PROCESSES)
        hosts = [
            forked.Process(target=look_after_keys, args=(url, together)) for _ in range(PROCESSES)
        ]
        for host in hosts:
            host.start()
        for host in hosts:
            host.join()
            failed += host.exitcode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
