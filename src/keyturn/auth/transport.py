"""How a refresh token travels: in the JSON, or as a cookie that no script of a page can read.

A device token goes the same way, but for the JSON client's request, which shows it in a header.

The client chooses at login. After that a request says by itself which way it is: the token is in
its body, or it is in its cookie.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Protocol, TypeVar

from flask import request

from keyturn.auth.schemas import RefreshTokenSchema
from keyturn.auth.tokens import IssuedTokens
from keyturn.errors import AmbiguousTokenError, OriginNotAllowedError, UnauthenticatedError
from keyturn.http import cookies
from keyturn.http.body import JSON_REFUSALS, is_absent, read_json
from keyturn.http.contract import Header, promise, reads
from keyturn.http.csrf import check_origin
from keyturn.http.schema import load
from keyturn.services import services

_View = TypeVar("_View", bound=Callable[..., Any])


class Transport(Protocol):
    """One way to carry a refresh token and a device token."""

    def held(self) -> str | None:
        """Return the token the client already has. Raises where its page may not use it."""

    def device(self) -> str | None:
        """Return the device token that a login shows."""

    def hand_out(self, tokens: IssuedTokens) -> IssuedTokens:
        """Send the refresh and the device token; return what is left for the JSON."""

    def take_back(self) -> None:
        """Make the client forget its refresh token."""


class JsonTransport:
    """The client keeps its refresh token itself."""

    def held(self) -> str | None:
        """Return None: it comes in the body."""
        return None

    def device(self) -> str | None:
        """Return what the header says."""
        return request.headers.get(DEVICE_TOKEN.name)

    def hand_out(self, tokens: IssuedTokens) -> IssuedTokens:
        """Return all of them."""
        return tokens

    def take_back(self) -> None:
        """Do nothing: the client does it."""


@dataclass(frozen=True)
class CookieTransport:
    """The browser keeps the tokens, in these cookies, away from the page's scripts."""

    refresh: cookies.Cookie
    known: cookies.Cookie

    def held(self) -> str | None:
        """Return what the browser sent.

        Raises `OriginNotAllowedError`, or `AmbiguousTokenError` for two different cookies.
        """
        check_origin(services().allowed_origins)
        return self.refresh.sent()

    def device(self) -> str | None:
        """Return what the browser sent. Raises `AmbiguousTokenError`."""
        return self.known.sent()

    def hand_out(self, tokens: IssuedTokens) -> IssuedTokens:
        """Set each cookie for as long as its token lasts; where none is due, leave it alone."""
        if tokens.refresh_token is not None and tokens.refresh_expires_in is not None:
            self.refresh.set(tokens.refresh_token, tokens.refresh_expires_in)
        if tokens.device_token is not None:
            self.known.set(tokens.device_token, services().settings.device_token_ttl)
        return replace(tokens, refresh_token=None, device_token=None)

    def take_back(self) -> None:
        """Clear the cookie; the device stays known."""
        self.refresh.clear()


_BODY = RefreshTokenSchema()

DEVICE_TOKEN = Header(
    "Device-Token",
    "The `deviceToken` of an earlier login of this user: failed attempts of others do not count "
    "then. One that does not hold is as none. The cookie transport reads its cookie instead.",
)

TRANSPORTS: dict[str, Transport] = {
    "json": JsonTransport(),
    "cookie": CookieTransport(cookies.REFRESH_TOKEN, cookies.DEVICE_TOKEN),
}


def hands_out_cookies(view: _View) -> _View:
    """Say that a view hands tokens out by either transport."""
    refusals = (AmbiguousTokenError, OriginNotAllowedError)
    sets = (cookies.REFRESH_TOKEN, cookies.DEVICE_TOKEN)
    return promise(reads(DEVICE_TOKEN)(view), *refusals, sets=sets)


def takes_refresh_token(view: Callable[..., Any]) -> Callable[..., Any]:
    """Give a view the refresh `token` a request brings, or None, and the `transport` it came by.

    What the browser keeps is cleared where its token is refused for good, and only there. Raises
    `AmbiguousTokenError` for a token in the body beside one in a cookie (RFC 6750 section 2:
    one way at a time), and `OriginNotAllowedError`.
    """

    @wraps(view)
    def taking(*args: Any, **kwargs: Any) -> Any:
        token, transport = _presented()
        try:
            return view(*args, token=token, transport=transport, **kwargs)
        except UnauthenticatedError:
            transport.take_back()
            raise

    return promise(
        taking,
        *JSON_REFUSALS,
        AmbiguousTokenError,
        OriginNotAllowedError,
        body=_BODY,
        cookie=cookies.REFRESH_TOKEN,
        sets=(cookies.REFRESH_TOKEN,),
    )


def _presented() -> tuple[str | None, Transport]:
    has_cookie = cookies.REFRESH_TOKEN.name in request.cookies
    transport = TRANSPORTS["cookie" if has_cookie else "json"]
    held = transport.held()
    token = _in_body(required=not has_cookie)
    if has_cookie and token is not None:
        raise AmbiguousTokenError
    return held or token, transport


def _in_body(*, required: bool) -> str | None:
    # A page cannot see whether it has a cookie. No body at all says that it would be there.
    if is_absent(request):
        return None
    loaded = load(_BODY, read_json(), partial=() if required else ("refresh_token",))
    return loaded.get("refresh_token")
