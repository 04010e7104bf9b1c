"""The key pairs as one process knows them: read anew every second, opened once."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Protocol

import jwt

from keyturn.bearer import jwk
from keyturn.errors import UnavailableError
from keyturn.tokens.keypairs import PrivateKey, SealBrokenError, Vault
from keyturn.tokens.lifecycle import HasTimes, Schedule, Succession
from keyturn.tokens.signing import PublicKeys, signed

logger = logging.getLogger(__name__)


class StoredKey(HasTimes, Protocol):
    """A row of signing_keys."""

    number: int
    kid: str
    algorithm: str
    public_jwk: str
    private_key: bytes | None


class KeySource(Protocol):
    """Where the keys are kept. Both raise `UnavailableError` where that cannot be asked."""

    def read(self) -> Sequence[StoredKey]:
        """Return all keys in the order they were made."""

    def ensure(self, now: datetime) -> None:
        """Make the first key, or the next if it is due, unless somebody else just did."""


@dataclass(frozen=True)
class _Signing:
    kid: str
    algorithm: str
    private: PrivateKey


@dataclass(frozen=True)
class _Snapshot:
    """All keys as they were at one time."""

    as_of: datetime
    signing: _Signing | None
    verifying: Mapping[str, jwt.PyJWK]
    public: PublicKeys
    fault: str | None


_NOTHING = _Snapshot(
    datetime.min.replace(tzinfo=UTC), None, {}, PublicKeys.of([]), "There is no signing key."
)


class KeyRing:
    """Signs with the key whose turn it is, and verifies with all that are published.

    A change made elsewhere is seen within `MAX_AGE` by whoever refreshes before use, and a new key
    with the first token that names it: invented names cause no more than `LOOKS` readings in that
    time. Where the database cannot be asked, the ring stays as it is for `MAX_STALE`. Threads may
    share it.
    """

    MAX_AGE = timedelta(seconds=1)
    LOOKS = 10
    MAX_STALE = timedelta(hours=1)
    RETRY = timedelta(seconds=5)  # of a rotation that could not be written

    def __init__(self, source: KeySource, vault: Vault, schedule: Schedule) -> None:
        self._source = source
        self._vault = vault
        self._schedule = schedule
        self._lock = Lock()
        self._held = _NOTHING
        self._read_at = self._failed_at = self._refreshed_at = _NOTHING.as_of
        self._looks = 0
        self._opened: dict[str, PrivateKey] = {}

    @property
    def keys(self) -> "KeyRing":
        """The keys that verify: this ring."""
        return self

    @property
    def public(self) -> PublicKeys:
        """The published keys."""
        return self._held.public

    @property
    def fault(self) -> str | None:
        """Why tokens cannot be signed, now or when the next key's turn comes; None if they can."""
        return self._held.fault

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the published key of exactly this id, or None.

        Raises `UnavailableError` as `refresh` does, which went before.
        """
        if kid not in self._held.verifying and self._looks < self.LOOKS:
            with self._lock:
                self._looks += 1
                self._read_anew(self._refreshed_at)
        return self._held.verifying.get(kid)

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return the claims as a signed JWT whose header carries `typ` and the key's `kid`.

        Raises `UnavailableError` where there is no key that can be used.
        """
        key = self._held.signing
        if key is None:
            raise UnavailableError(retry_after=1)
        return signed(claims, typ=typ, kid=key.kid, algorithm=key.algorithm, key=key.private)

    def refresh(self, now: datetime) -> None:
        """Read the keys again unless that was done less than `MAX_AGE` ago; rotate if it is due.

        To be called before a transaction, not within: it may need one of its own. Raises
        `UnavailableError` where the keys cannot be read, nor were in the last `MAX_STALE`.
        """
        self._refreshed_at = now
        if abs(now - self._read_at) < self.MAX_AGE:
            return
        with self._lock:  # whoever waits here is served by the one who reads
            if abs(now - self._read_at) >= self.MAX_AGE:
                self._looks = 0
                self._read_anew(now)
                self._read_at = now

    def _read_anew(self, now: datetime) -> None:
        try:
            self._held = self._snapshot(self._keys(now), now)
        except UnavailableError:
            if abs(now - self._held.as_of) > self.MAX_STALE:
                raise
            logger.warning("signing keys cannot be read; they stay as they were last seen")

    def _keys(self, now: datetime) -> Sequence[StoredKey]:
        keys = self._source.read()
        is_due = Succession(keys, self._schedule, now).is_due
        if not is_due or abs(now - self._failed_at) < self.RETRY:
            return keys
        try:
            self._source.ensure(now)
        except UnavailableError:
            self._failed_at = now
            logger.warning("a signing key is due and could not be made", exc_info=True)
        return self._source.read()

    def _snapshot(self, keys: Sequence[StoredKey], now: datetime) -> _Snapshot:
        line = Succession(keys, self._schedule, now)
        published = [life.key for life in line.lives if life.is_public]
        fault = self._open([key for key in (line.signer, *line.heirs) if key is not None])
        public = PublicKeys.of(_jwk(key) for key in published)
        return _Snapshot(
            as_of=now,
            signing=self._signing(line.signer),
            verifying=self._verifying(public) if published else {},
            public=public,
            fault=fault,
        )

    def _open(self, keys: Sequence[StoredKey]) -> str | None:
        """Open the keys that sign or will, each once; return why one does not open."""
        opened = {key.kid: self._opened.get(key.kid) or self._opened_now(key) for key in keys}
        self._opened = {kid: private for kid, private in opened.items() if private is not None}
        fault = next((cannot_open(key) for key in keys if opened[key.kid] is None), None)
        if not keys:
            fault = _NOTHING.fault
        if fault is not None and fault != self._held.fault:
            logger.error(fault)
        return fault

    def _opened_now(self, key: StoredKey) -> PrivateKey | None:
        try:
            return self._vault.open(key.kid, key.private_key or b"")
        except SealBrokenError:
            return None

    def _signing(self, key: StoredKey | None) -> _Signing | None:
        if key is None or key.kid not in self._opened:
            return None
        return _Signing(key.kid, key.algorithm, self._opened[key.kid])

    def _verifying(self, public: PublicKeys) -> Mapping[str, jwt.PyJWK]:
        if public == self._held.public:
            return self._held.verifying
        return jwk.load(json.loads(public.document), public.algorithms)


def _jwk(key: StoredKey) -> dict[str, str]:
    """Return the key as others see it (RFC 7517 section 4)."""
    bound = {"kid": key.kid, "alg": key.algorithm, "use": "sig"}
    return {**json.loads(key.public_jwk), **bound}


def cannot_open(key: StoredKey) -> str:
    """Return what an operator needs to know about a key that its vault does not open."""
    return (
        f"KEY_ENCRYPTION_SECRET does not open signing key {key.number} ({key.kid}): it was "
        "encrypted with another one. If that is lost: flask keys rotate --now"
    )
