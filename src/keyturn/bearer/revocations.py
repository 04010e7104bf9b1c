"""Logins that ended before their tokens expire, heard of from Keyturn every few seconds."""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from keyturn.bearer.fetch import FetchError, Source

logger = logging.getLogger(__name__)

_LIMIT = 4 * 1024 * 1024
# The longest life and leeway that an access token can have: later, nobody needs to remember.
_REMEMBERED = 3600 + 300


class RevocationFeed:
    """The logins that ended, as `GET /auth/revocations` of Keyturn tells them.

    It is asked with a service token every `interval` seconds, by a thread of each process that
    begins with the first look-up; that one waits for the first answer. While Keyturn is away,
    nothing new is heard, and what was heard stays: tokens then end when they expire.

    `timeout` is that of a request, in seconds. Raises `ValueError` for a URL that is not http or
    https.
    """

    def __init__(
        self,
        url: str,
        *,
        service_token: str,
        interval: float = 5,
        timeout: float = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        headers = {"Authorization": f"Bearer {service_token}"}
        self._source = Source(url, timeout=timeout, limit=_LIMIT, headers=headers)
        self._interval = interval
        self._clock = clock
        self._forget_at: dict[str, float] = {}  # by login, those heard of first in front
        self._cursor: str | None = None
        self._lock = threading.Lock()
        self._process: int | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def __contains__(self, sid: object) -> bool:
        """Tell whether this login has ended, as far as is known here."""
        if self._process != os.getpid():  # a thread does not survive a fork
            self._start()
        return sid in self._forget_at

    def poll(self) -> None:
        """Ask what is new, page by page, and forget what nobody needs to know any more.

        After a failure, the next question starts over, so that nothing is missed.
        """
        self._forget()
        try:
            while self._ask():
                pass
        except (FetchError, ValueError) as error:
            logger.warning("no revocations from %s: %s", self._source.url, error)
            self._cursor = None

    def stop(self) -> None:
        """End the asking in this process."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _ask(self) -> bool:
        """Read one page, and tell whether another may follow: one came, and the cursor moved."""
        cursor = self._cursor
        answer = self._source.get(urlencode({"since": cursor}) if cursor else "")
        ended, self._cursor = _read(answer.document)
        forget_at = self._clock() + _REMEMBERED
        for sid in ended:
            self._forget_at.setdefault(sid, forget_at)
        return bool(ended) and self._cursor != cursor

    def _forget(self) -> None:
        now = self._clock()
        over = [sid for sid, forget_at in self._forget_at.items() if forget_at <= now]
        for sid in over:
            del self._forget_at[sid]

    def _start(self) -> None:
        with self._lock:
            if self._process != os.getpid():
                self.poll()
                self._stopped = threading.Event()
                self._thread = threading.Thread(
                    target=self._keep_polling, name="revocations", daemon=True
                )
                self._thread.start()
                self._process = os.getpid()

    def _keep_polling(self) -> None:
        while not self._stopped.wait(self._interval):
            self.poll()


def _read(document: Any) -> tuple[list[str], str]:
    """Return the logins of an answer and its cursor. Raises `ValueError`."""
    try:
        ended = [entry["sid"] for entry in document["revocations"]]
        following = document["next"]
    except (KeyError, TypeError) as error:
        raise ValueError("not a list of revocations") from error
    if not all(isinstance(word, str) for word in (*ended, following)):
        raise ValueError("not a list of revocations")
    return ended, following
