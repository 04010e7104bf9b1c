"""One careful GET: bounded in time and size, no redirects, http and https alone."""

import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from keyturn.bearer import ijson


class FetchError(Exception):
    """The document could not be had; the message says why."""


@dataclass(frozen=True)
class Fetched:
    """A JSON document, and for how many seconds it may be kept, where that was said."""

    document: Any
    max_age: int | None


class Source:
    """A JSON document on another server.

    `timeout` is how many seconds may pass without a byte, and about how many in all; `limit` is the
    most bytes it may have. Raises `ValueError` where the URL is not one of http or https.
    """

    def __init__(
        self, url: str, *, timeout: float, limit: int, headers: Mapping[str, str] | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ValueError("not an http or https URL, or one with a password in it")
        self.url = url
        self._timeout = timeout
        self._limit = limit
        self._headers = {"Accept": "application/json", **(headers or {})}

    def get(self, query: str = "") -> Fetched:
        """Ask for it, with a query string. Raises `FetchError`, and nothing else."""
        address = f"{self.url}?{query}" if query else self.url
        request = urllib.request.Request(address, headers=self._headers)  # noqa: S310 - checked
        try:
            with _OPENER.open(request, timeout=self._timeout) as response:
                return Fetched(ijson.parse(self._read(response)), _max_age(response))
        except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
            raise FetchError(f"{self.url}: {error}") from error

    def _read(self, response: HTTPResponse) -> bytes:
        if response.status != HTTPStatus.OK:
            raise FetchError(f"{self.url}: status {response.status}")
        deadline = time.monotonic() + self._timeout
        body = b""
        while chunk := response.read1(self._limit + 1 - len(body)):
            body += chunk
            if len(body) > self._limit or time.monotonic() > deadline:
                raise FetchError(f"{self.url}: too large or too slow")
        return body


def _max_age(response: HTTPResponse) -> int | None:
    """Return the freshness lifetime that Cache-Control tells (RFC 9111 section 5.2.2.1)."""
    directives = response.headers.get("Cache-Control", "")
    found = re.search(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", directives, re.IGNORECASE)
    return int(found[1]) if found else None


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows no redirects, and no file:, ftp: and data: URLs."""
    opener = urllib.request.OpenerDirector()
    for kind in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
    ):
        opener.add_handler(kind())
    return opener


_OPENER = _opener()
