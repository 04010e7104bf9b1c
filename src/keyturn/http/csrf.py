"""Keeps pages of strangers from acting with a visitor's cookies (cross-site request forgery)."""

from collections.abc import Set as AbstractSet

from flask import request

from keyturn.errors import OriginNotAllowedError


def check_origin(allowed: AbstractSet[str]) -> None:
    """Raise `OriginNotAllowedError` unless a page of this service or an allowed origin asks.

    Browsers write `Origin` into every POST and DELETE and let no script change it. Where they also
    say how the page relates to this service (`Sec-Fetch-Site`), it must be of the same site:
    another site's page gets no cookie anyway (`SameSite`), so it is told at once.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        raise OriginNotAllowedError("Requests with cookies need an Origin header.")
    if origin not in allowed and origin != f"{request.scheme}://{request.host}":
        raise OriginNotAllowedError
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "same-site"}:
        raise OriginNotAllowedError("Cookies are for pages of the same site.")
