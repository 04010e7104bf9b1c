"""How the text of a setting is read. What cannot be raises `ValueError`, saying why."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from keyturn.origin import is_trustworthy, origin_of

DAY = 86_400

# Secrets printed in tutorials, RFCs and on jwt.io are known to everybody who guesses.
_EXAMPLE_SECRET = re.compile(
    r"change.?(me|this|it)|example|placeholder|your.{0,20}secret|secret.?key|super.?secret"
    r"|at-least-256-bits|password|AyM1SysPpbyDfgZld3umj1qzKObwVMko|0123456789|abcdefghij",
    re.IGNORECASE,
)
_MIN_SECRET_BYTES = 32  # RFC 7518 section 3.2: a key of the hash's size
_MIN_DISTINCT_CHARACTERS = 12  # fewer in 32 is a pattern; random hex or base64 has more


def text(raw: str) -> str:
    """Read what must not be empty."""
    if not raw.strip():
        raise ValueError("must not be empty")
    return raw.strip()


def url(raw: str) -> str:
    """Read a URL of http or https without query and fragment."""
    parts = urlsplit(raw)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL of http or https without query and fragment")
    return raw


def secret(raw: str) -> str:
    """Read a secret: long, no example, and not a pattern."""
    size = len(raw.encode())
    if size < _MIN_SECRET_BYTES:
        raise ValueError(f"has {size} bytes, at least {_MIN_SECRET_BYTES} are needed")
    if _EXAMPLE_SECRET.search(raw):
        raise ValueError("is an example, not a secret")
    if len(set(raw)) < _MIN_DISTINCT_CHARACTERS:
        raise ValueError("is a pattern, not random")
    return raw


def choice(*words: str) -> Callable[[str], str]:
    """Return what reads one of these words."""

    def parse(raw: str) -> str:
        if raw not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return raw

    return parse


def number(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number within these bounds, which belong to them."""

    def parse(raw: str) -> int:
        if re.fullmatch(r"[0-9]{1,10}", raw, re.ASCII) is None or not low <= int(raw) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(raw)

    return parse


def origins(raw: str) -> frozenset[str]:
    """Read origins (RFC 6454), separated by commas; of https, or of this machine."""
    found = {one.strip() for one in raw.split(",")} if raw.strip() else set()
    for origin in found:
        if origin_of(origin) != origin:
            raise ValueError(f"has {origin!r}, which is no origin like https://app.example.com")
        if not is_trustworthy(origin):
            raise ValueError(f"has {origin!r}, which is not https: anybody on the way can be it")
    return frozenset(found)


@dataclass(frozen=True)
class Rate:
    """So many attempts in so many seconds."""

    limit: int
    period: int

    def __str__(self) -> str:
        return f"{self.limit}/{self.period}"


def rate(most: int) -> Callable[[str], Rate]:
    """Return what reads a rate of `most` attempts at most."""
    limit, period = number(1, most), number(1, 400 * DAY)

    def parse(raw: str) -> Rate:
        first, _, second = raw.partition("/")
        try:
            return Rate(limit(first), period(second))
        except ValueError as error:
            raise ValueError(
                f"must be attempts/seconds, from 1 to {most} in 1 to {400 * DAY}"
            ) from error

    return parse


def database_url(raw: str) -> URL:
    """Read a SQLAlchemy URL. Raises `ValueError` for a database that cannot be used, saying why."""
    try:
        url = make_url(raw)
        url.get_dialect().import_dbapi()
    except ArgumentError as error:
        raise ValueError("is not a database URL") from error
    except ImportError as error:
        raise ValueError(f"cannot be used: its driver is not installed ({error})") from error
    if url.get_backend_name() != "sqlite":
        return url
    if url.database in {None, "", ":memory:"}:
        raise ValueError("must name a file: what is only in memory is lost")
    return url.set(database=str(Path(str(url.database)).absolute()))
