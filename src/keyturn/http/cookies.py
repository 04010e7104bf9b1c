"""The cookies Keyturn sets: their names, paths and flags, all here.

No script can read one (`HttpOnly`), none goes over plain HTTP (`Secure`), and none comes with a
request that another site made (`SameSite=Strict`): RFC 6265bis section 4.1.2.
"""

from dataclasses import dataclass
from typing import Any

from flask import Response, after_this_request, request

from keyturn.errors import AmbiguousTokenError


@dataclass(frozen=True)
class Cookie:
    """A cookie that goes to the routes under `path` alone.

    A browser takes a name that begins with `__Secure-` only if `Secure` was set over TLS, or from
    this machine. `__Host-`, which also keeps other hosts of the domain from setting one, would
    demand `Path=/`, and so show it to everything else that is served from the same origin.
    """

    name: str
    path: str
    explanation: str

    def sent(self) -> str | None:
        """Return what the request carries. Raises `AmbiguousTokenError` for two that differ.

        A second one can only come from another host of the same domain, which cannot read ours,
        but set one for the whole domain.
        """
        values = set(request.cookies.getlist(self.name))
        if len(values) > 1:
            raise AmbiguousTokenError
        return values.pop() if values else None

    def set(self, value: str, max_age: int) -> None:
        """Set it with the answer to this request, for so many seconds."""

        @after_this_request
        def add(response: Response) -> Response:
            response.set_cookie(self.name, value, max_age, **self._attributes())
            return response

    def clear(self) -> None:
        """Let the browser forget it with the answer to this request."""

        @after_this_request
        def remove(response: Response) -> Response:
            response.delete_cookie(self.name, **self._attributes())
            return response

    def _attributes(self) -> dict[str, Any]:
        return {"path": self.path, "secure": True, "httponly": True, "samesite": "Strict"}


REFRESH_TOKEN = Cookie(
    "__Secure-keyturn-refresh", "/auth", "The refresh token of a login with the cookie transport."
)

# Not cleared at logout: the device stays known.
DEVICE_TOKEN = Cookie(
    "__Secure-keyturn-device",
    "/auth/login",
    "The device token of a login with the cookie transport.",
)
ACCOUNT = Cookie(
    "__Secure-keyturn-account", "/account", "The refresh token of a login on the page for people."
)
ACCOUNT_DEVICE = Cookie(
    "__Secure-keyturn-account-device",
    "/account/login",
    "The device token of a login on the page for people.",
)
