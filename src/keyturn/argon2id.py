"""The scheme of new password hashes for passlib: argon2id at OWASP's parameters, by libsodium.

libsodium computes what argon2-cffi computes, in less time: it asks at run time what the CPU can do
(AVX2, AVX-512), where a wheel of argon2-cffi is built for every x86-64.
"""

import re
from typing import Any

from nacl.pwhash import argon2id as libsodium
from passlib.exc import InvalidHashError
from passlib.utils.binary import b64s_decode, b64s_encode
from passlib.utils.handlers import GenericHandler, HasRawChecksum, HasRawSalt

# OWASP Password Storage Cheat Sheet: m=19 MiB, t=2, p=1.
_KIB, _PASSES = 19_456, 2
_PREFIX = f"$argon2id$v=19$m={_KIB},t={_PASSES},p=1$"  # RFC 9106 version 0x13


class Argon2id(HasRawSalt, HasRawChecksum, GenericHandler):  # type: ignore[misc]
    """`$argon2id$` in the PHC string format, at these parameters and lengths alone."""

    name = "argon2id"
    setting_kwds = ("salt",)
    min_salt_size = default_salt_size = max_salt_size = libsodium.SALTBYTES
    checksum_size = 32
    _hash_regex = re.compile(rf"{re.escape(_PREFIX)}([A-Za-z0-9+/]{{22}})\$([A-Za-z0-9+/]{{43}})\Z")

    @classmethod
    def from_string(cls, hash: str | bytes) -> "Argon2id":  # noqa: A002 - passlib's name
        """Read a hash. Raises `ValueError` if it is another's."""
        match = cls._hash_regex.match(hash if isinstance(hash, str) else hash.decode("ascii"))
        if match is None:
            raise InvalidHashError(cls)
        salt, checksum = map(b64s_decode, match.groups())
        return cls(salt=salt, checksum=checksum)

    def to_string(self) -> str:
        """Return it as it is kept."""
        parts = (b64s_encode(part).decode("ascii") for part in (self.salt, self.checksum))
        return _PREFIX + "$".join(parts)

    def _calc_checksum(self, secret: str | bytes) -> Any:
        return libsodium.kdf(
            self.checksum_size,
            secret if isinstance(secret, bytes) else secret.encode(),
            self.salt,
            opslimit=_PASSES,
            memlimit=_KIB * 1024,
        )


# The hash of no password: a salt and a digest of zeros.
OF_NO_PASSWORD = _PREFIX + "A" * 22 + "$" + "A" * 43
