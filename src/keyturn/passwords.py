"""Passwords: argon2id at OWASP's parameters, older hashes read and replaced."""

import unicodedata
from dataclasses import dataclass

from passlib.context import CryptContext

MAX_LENGTH = 1024

# OWASP Password Storage Cheat Sheet: m=19 MiB, t=2, p=1. Everything else is only read, and
# replaced at the next login.
_CONTEXT = {
    "schemes": ["argon2", "bcrypt", "scrypt", "pbkdf2_sha256", "pbkdf2_sha512"],
    "deprecated": "auto",
    "argon2__type": "ID",
    "argon2__memory_cost": 19_456,
    "argon2__time_cost": 2,
    "argon2__parallelism": 1,
}


@dataclass(frozen=True)
class Verdict:
    """Whether a password is right, and the better hash to keep if it is and there is one."""

    right: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies. Every call costs about one argon2 hash, whatever it is asked."""

    def __init__(self) -> None:
        self._context = CryptContext(**_CONTEXT)

    def hash(self, password: str) -> str:
        """Return a new argon2id hash."""
        return str(self._context.hash(normalised(password)))

    def verify(self, password: str, stored: str | None) -> Verdict:
        """Compare a password with a stored hash; None, for no such user, costs one hash as well."""
        secret = normalised(password)
        if stored is None or self._context.identify(stored) is None:
            self._context.dummy_verify()
            return Verdict(right=False)
        try:
            right, new_hash = self._context.verify_and_update(secret, stored)
        except ValueError:  # a scheme that cannot take this password, as bcrypt and NUL
            self._context.dummy_verify()
            return Verdict(right=False)
        return Verdict(right=bool(right), new_hash=new_hash)


def normalised(password: str) -> str:
    """Return the one form of what looks the same: NFKC (NIST SP 800-63B-4 section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
