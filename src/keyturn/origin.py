"""Origins of web pages, written as browsers write them (RFC 6454 section 6)."""

import re
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\]")
_LOOPBACK = re.compile(r"http://((.+\.)?localhost|127\.0\.0\.1|\[::1\])(:|$)")


def origin_of(url: str) -> str | None:
    """Return the origin of an http or https URL, or None for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is none, half an IPv6 address
        return None
    host = f"[{host}]" if ":" in host else host
    if parts.scheme not in _DEFAULT_PORTS or _HOST.fullmatch(host) is None:
        return None
    suffix = "" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def is_trustworthy(origin: str) -> bool:
    """Return whether nobody on the way can write its pages: TLS, or this very machine."""
    return origin.startswith("https://") or _LOOPBACK.match(origin) is not None
