"""Passwords: argon2id at OWASP's parameters, older hashes read and replaced."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from passlib.context import CryptContext

from keyturn.argon2id import OF_NO_PASSWORD, Argon2id
from keyturn.foreign_hashes import FLASK_SECURITY, SCHEMES, forms
from keyturn.hashing import HashingQueue

MAX_LENGTH = 1024


@dataclass(frozen=True)
class Verdict:
    """Whether a password is right, and the better hash to keep if it is and there is one."""

    right: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies, each call in its turn, at the cost of one hash, whatever it is asked.

    Both raise `BusyError` where the turn does not come in time. `hmac_key` is Flask-Security's
    SECURITY_PASSWORD_SALT, for users who come from there.
    """

    def __init__(self, queue: HashingQueue | None = None, *, hmac_key: str = "") -> None:
        # Everything else is only read, and replaced at the next login.
        self._context = CryptContext((Argon2id, *SCHEMES), deprecated="auto")
        self._hmac_key = hmac_key.encode()
        self.queue = queue or HashingQueue()

    def hash(self, password: str) -> str:
        """Return a new argon2id hash."""
        return self.queue.run(self._hash, password)

    def verify(self, password: str, stored: str | None) -> Verdict:
        """Compare a password with a stored hash; None, for no such user, costs one hash as well."""
        if stored is None or not self.can_verify(stored):
            stored = OF_NO_PASSWORD
        return self.queue.run(self._compare, password, stored)

    def can_verify(self, stored: str) -> bool:
        """Tell whether a password can be compared with a stored hash, right or wrong."""
        known = self._context.identify(stored.removeprefix(FLASK_SECURITY)) is not None
        return known and (bool(self._hmac_key) or not stored.startswith(FLASK_SECURITY))

    def _hash(self, password: str) -> str:
        return str(self._context.hash(normalised(password)))

    def _compare(self, password: str, stored: str) -> Verdict:
        try:
            right = self._is_right(password, stored)
        except ValueError:  # a scheme that cannot take this password, as bcrypt and NUL
            right = self._is_right(password, OF_NO_PASSWORD)
        return Verdict(right, self._hash(password) if right and self._is_old(stored) else None)

    def _is_right(self, password: str, stored: str) -> bool:
        bare = stored.removeprefix(FLASK_SECURITY)
        return any(self._context.verify(one, bare) for one in self._secrets(password, stored))

    def _secrets(self, password: str, stored: str) -> Iterable[bytes]:
        if self._is_old(stored):
            return forms(password, stored, hmac_key=self._hmac_key)
        return (normalised(password).encode(),)

    def _is_old(self, stored: str) -> bool:
        return stored.startswith(FLASK_SECURITY) or self._context.needs_update(stored)


def normalised(password: str) -> str:
    """Return the one form of what looks the same: NFKC (NIST SP 800-63B-4 section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
