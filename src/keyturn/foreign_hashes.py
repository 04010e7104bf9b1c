"""Password hashes of other systems, brought into the forms that are kept and checked.

Django and Werkzeug write what passlib writes, too, in another order. What could never be checked,
or only at a cost that nobody should be able to cause by logging in, is refused.
"""

import base64
import hmac
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from passlib.context import CryptContext
from passlib.hash import pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512, scrypt

SCHEMES = (
    "argon2",
    "bcrypt",
    "django_bcrypt_sha256",
    "scrypt",
    "pbkdf2_sha1",
    "pbkdf2_sha256",
    "pbkdf2_sha512",
)

# Stands before a hash of Flask-Security, which hashes an HMAC of the password.
FLASK_SECURITY = "flask-security$"

_BCRYPT_BYTES = 72  # it reads no more, and its library refuses what others cut off

_KEPT = CryptContext(SCHEMES)
_PBKDF2 = {"sha1": pbkdf2_sha1, "sha256": pbkdf2_sha256, "sha512": pbkdf2_sha512}

# What one login may cost: about a second of one core, and 128 MiB, the unit being 1 KiB.
_MEMORY = 128 * 1024
_AFFORDABLE: dict[str, Callable[[Any], bool]] = {
    "argon2": lambda its: (
        its.memory_cost <= _MEMORY
        and its.memory_cost * its.rounds <= 4 * _MEMORY
        and its.parallelism <= 16  # noqa: PLR2004 - threads
    ),
    "bcrypt": lambda its: its.rounds <= 14,  # noqa: PLR2004 - 2^14 rounds
    "scrypt": lambda its: (
        its.block_size << its.rounds <= 8 * _MEMORY
        and its.block_size * its.parallelism << its.rounds <= 16 * _MEMORY
    ),
    "pbkdf2": lambda its: its.rounds <= 4_000_000,  # noqa: PLR2004 - iterations
}


def kept_form(text: str) -> str:
    """Return a hash as it is kept. Raises `ValueError`, with a sentence, where it cannot be."""
    bare = text.removeprefix(FLASK_SECURITY)
    prefix = text.removesuffix(bare)
    readers = ((re.fullmatch(pattern, bare, re.ASCII), read) for pattern, read in _FORMATS)
    match, read = next((found for found in readers if found[0]), (None, None))
    if match is None or read is None:
        raise ValueError("Not a password hash of a known format.")
    try:
        its = read(**match.groupdict())
    except (TypeError, ValueError) as error:  # passlib's, which may quote the hash
        raise ValueError("A malformed password hash.") from error
    if not _is_affordable(its):
        raise ValueError("A password hash that costs too much to check.")
    return f"{prefix}{its.to_string()}"


def _is_affordable(its: Any) -> bool:
    return next(affordable(its) for name, affordable in _AFFORDABLE.items() if name in its.name)


def forms(password: str, kept: str, *, hmac_key: bytes) -> Iterator[bytes]:
    """Yield what another system may have hashed for a password, the likeliest first.

    Some normalise it, some do not. `hmac_key` is Flask-Security's SECURITY_PASSWORD_SALT.
    """
    normalised = (unicodedata.normalize(form, password) for form in ("NFKC", "NFKD"))
    for text in dict.fromkeys((*normalised, password)):
        secret = text.encode()
        if kept.startswith(FLASK_SECURITY):
            secret = base64.b64encode(hmac.digest(hmac_key, secret, "sha512"))
        is_bcrypt = kept.removeprefix(FLASK_SECURITY).startswith("$2")
        yield secret[:_BCRYPT_BYTES] if is_bcrypt else secret


def _as_it_is(text: str) -> Any:
    return _KEPT.identify(text, resolve=True, required=True).from_string(text)


def _pbkdf2(digest: str, rounds: str, salt: str, checksum: bytes) -> Any:
    return _PBKDF2[digest](rounds=int(rounds), salt=salt.encode(), checksum=checksum)


def _scrypt(n: str, r: str, p: str, salt: str, checksum: bytes) -> Any:
    log_n = int(n).bit_length() - 1
    if int(n) != 1 << log_n:
        raise ValueError("not a power of two")
    # Only how many blocks there are depends on the length of the output (RFC 7914 section 6).
    checksum = checksum[: scrypt.checksum_size]
    costs = {"rounds": log_n, "block_size": int(r), "parallelism": int(p)}
    return scrypt(ident="$scrypt$", salt=salt.encode(), checksum=checksum, **costs)


def _of_django(read: Callable[..., Any]) -> Callable[..., Any]:
    return lambda checksum, **parts: read(checksum=base64.b64decode(checksum), **parts)


def _of_werkzeug(read: Callable[..., Any]) -> Callable[..., Any]:
    return lambda checksum, **parts: read(checksum=bytes.fromhex(checksum), **parts)


_N = r"\d{1,9}"
_B64 = "[A-Za-z0-9+/]+"
_AB64 = "[A-Za-z0-9./]+"  # passlib's
_SALT = r"(?P<salt>[^$]+)"
_BCRYPT = r"\$2[aby]\$\d\d\$[A-Za-z0-9./]{53}"
_ARGON2 = rf"\$argon2(?:id?|d)\$(?:v={_N}\$)?m={_N},t={_N},p={_N}\${_B64}\$[A-Za-z0-9+/]{{22,}}"

_FORMATS: tuple[tuple[str, Callable[..., Any]], ...] = (
    # argon2-cffi, bcrypt, pwdlib and passlib; Django's have its own name for the scheme in front
    (rf"(?:argon2)?(?P<text>{_ARGON2})", _as_it_is),
    (rf"(?:bcrypt\$)?(?P<text>{_BCRYPT})", _as_it_is),
    (rf"(?P<text>bcrypt_sha256\${_BCRYPT})", _as_it_is),
    (rf"(?P<text>\$scrypt\$ln={_N},r={_N},p={_N}\${_B64}\${_B64})", _as_it_is),
    (rf"(?P<text>\$pbkdf2(?:-sha256|-sha512)?\${_N}\${_AB64}\${_AB64})", _as_it_is),
    # Django
    (
        rf"pbkdf2_(?P<digest>sha1|sha256)\$(?P<rounds>{_N})\${_SALT}\$(?P<checksum>{_B64}=*)",
        _of_django(_pbkdf2),
    ),
    (
        rf"scrypt\$(?P<n>{_N})\${_SALT}\$(?P<r>{_N})\$(?P<p>{_N})\$(?P<checksum>{_B64}=*)",
        _of_django(_scrypt),
    ),
    # Werkzeug
    (
        rf"pbkdf2:(?P<digest>sha1|sha256|sha512):(?P<rounds>{_N})\${_SALT}\$(?P<checksum>[0-9a-f]+)",
        _of_werkzeug(_pbkdf2),
    ),
    (
        rf"scrypt:(?P<n>{_N}):(?P<r>{_N}):(?P<p>{_N})\${_SALT}\$(?P<checksum>[0-9a-f]+)",
        _of_werkzeug(_scrypt),
    ),
)
