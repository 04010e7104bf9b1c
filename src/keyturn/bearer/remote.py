"""The keys of a Keyturn elsewhere: its JWK Set, asked for rarely and kept for a bounded time."""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from jwt import PyJWK

from keyturn.bearer import jwk
from keyturn.bearer.errors import KeysUnavailableError
from keyturn.bearer.fetch import FetchError, Source
from keyturn.bearer.keys import PUBLIC_KEY_ALGORITHMS

logger = logging.getLogger(__name__)

_LIMIT = 64 * 1024


@dataclass(frozen=True)
class _Known:
    """The keys of one answer. They are to be asked for again from `stale_at` on."""

    keys: Mapping[str, PyJWK] = field(default_factory=dict)
    stale_at: float = -math.inf
    dead_at: float = -math.inf


class RemoteKeys:
    """A key set behind a URL (RFC 7517), for any number of threads.

    - Keys are fresh for the `max-age` of their answer, at most `lifetime` seconds.
    - A `kid` they lack is asked for once more. All asking pauses for `cooldown` seconds after each
      answer or failure, so that a flood of invented ones causes no flood of requests.
    - When Keyturn is away, or answers keys that must not be trusted, the old ones serve until they
      are `max_age` seconds old. An hour is the longest life of an access token: of those that a
      Keyturn issued before it went away, none is good any more.
    - After that, before the first answer, and for a `kid` that may be newer than the last answer,
      nothing can be checked: `KeysUnavailableError`. It is no fault of the token.
    - One thread asks at a time. Those that have keys to go on with do not wait for it.

    `timeout` is that of a request, in seconds. Raises `ValueError` for a URL that is not http or
    https, and for the algorithms of shared secrets, which a public key set cannot have.
    """

    def __init__(
        self,
        url: str,
        *,
        algorithms: Collection[str] = PUBLIC_KEY_ALGORITHMS,
        lifetime: float = 300,
        cooldown: float = 5,
        max_age: float = 3600,
        timeout: float = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if any(jwk.ALGORITHMS[name].kty == "oct" for name in algorithms):
            raise ValueError("a shared secret is not for a public key set")
        self._source = Source(url, timeout=timeout, limit=_LIMIT)
        self._algorithms = algorithms
        self._lifetime = lifetime
        self._cooldown = cooldown
        self._max_age = max_age
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._known = _Known()
        self._next_question = -math.inf
        self._is_unanswered = False

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of exactly this id, or None. Raises `KeysUnavailableError`."""
        keys = self._usable()
        if kid not in keys:
            keys = self._refreshed(patience=self._timeout).keys
            if kid not in keys and self._is_unanswered:  # it may be a new one
                raise self._unavailable()
        return keys.get(kid)

    def _usable(self) -> Mapping[str, PyJWK]:
        known, now = self._known, self._clock()
        if now >= known.stale_at:
            known = self._refreshed(patience=self._timeout if now >= known.dead_at else 0)
        if self._clock() >= known.dead_at:
            raise self._unavailable()
        return known.keys

    def _refreshed(self, *, patience: float) -> _Known:
        """Return the newest answer, having asked where it is time.

        `patience` is how many seconds to wait for another thread that is asking.
        """
        if self._lock.acquire(timeout=patience):
            try:
                if self._clock() >= self._next_question:
                    self._ask()
            finally:
                self._lock.release()
        return self._known

    def _ask(self) -> None:
        self._is_unanswered = True
        try:
            fetched = self._source.get()
            keys = jwk.load(fetched.document, self._algorithms)
        except (FetchError, jwk.UnfitKeyError) as error:
            logger.warning("no keys from %s: %s", self._source.url, error)
        else:
            now = self._clock()
            told = self._lifetime if fetched.max_age is None else fetched.max_age
            stale_at = now + min(told, self._lifetime)
            self._known = _Known(keys, stale_at, dead_at=now + self._max_age)
            self._is_unanswered = False
        self._next_question = self._clock() + self._cooldown

    def _unavailable(self) -> KeysUnavailableError:
        return KeysUnavailableError(math.ceil(max(1, self._next_question - self._clock())))
