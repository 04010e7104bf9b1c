"""Why a guarded request is refused: each with its code and its challenge (RFC 6750 section 3)."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, ClassVar


def problem_document(status: int, code: str, detail: str) -> dict[str, Any]:
    """Return the members of a problem (RFC 9457 section 3.1), with the stable `code` added."""
    return {
        "type": f"urn:keyturn:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }


class BearerError(Exception):
    """A guarded route was asked without a token that opens it.

    `code` is the stable word clients may branch on, `detail` what the tutorial's guard answers,
    and `error` the RFC 6750 section 3.1 error of the challenge, none where no token was sent.
    """

    status: ClassVar[int] = 401
    code: ClassVar[str]
    detail: ClassVar[str] = "Invalid JWT"
    error: ClassVar[str | None] = "invalid_token"

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer: the challenge of RFC 6750 section 3."""
        challenge = {"realm": "keyturn", **self._attributes()}
        listed = ", ".join(f'{name}="{value}"' for name, value in challenge.items())
        return {"WWW-Authenticate": f"Bearer {listed}"}

    def _attributes(self) -> dict[str, str]:
        return {"error": self.error, "error_description": self.detail} if self.error else {}


class MissingTokenError(BearerError):
    """No bearer token was sent."""

    code = "missing_token"
    error = None


class InvalidTokenError(BearerError):
    """The token is malformed, forged, for somebody else, or lacks a claim."""

    code = "invalid_token"


class ExpiredTokenError(BearerError):
    """The token was good and has expired: time to refresh. `claims` are what it said."""

    code = "token_expired"

    def __init__(self, claims: Mapping[str, Any]) -> None:
        super().__init__(self.detail)
        self.claims = claims


class RevokedTokenError(BearerError):
    """The token is good, but its login was ended or its user disabled: time to log in."""

    code = "token_revoked"


class InsufficientScopeError(BearerError):
    """The token is good, but its `scope` lacks one of the `scopes` that are needed here."""

    status = 403
    code = "insufficient_scope"
    detail = "The token lacks a scope that is needed here."
    error = "insufficient_scope"

    def __init__(self, scopes: Collection[str]) -> None:
        super().__init__(self.detail)
        self.scopes = scopes

    def _attributes(self) -> dict[str, str]:
        return {**super()._attributes(), "scope": " ".join(sorted(self.scopes))}


class KeysUnavailableError(BearerError):
    """The token cannot be checked: the keys are not to be had. It may be good.

    `retry_after` is in seconds.
    """

    status = 503
    code = "keys_unavailable"
    detail = "The keys that check tokens cannot be had at the moment. Try again."

    def __init__(self, retry_after: int) -> None:
        super().__init__(self.detail)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        """Return when it is worth trying again (RFC 9110 section 10.2.3)."""
        return {"Retry-After": str(self.retry_after)}
