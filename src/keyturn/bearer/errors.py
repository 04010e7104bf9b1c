"""Why a bearer token is refused, each with its code and its challenge (RFC 6750 section 3)."""

from typing import ClassVar


class BearerError(Exception):
    """A guarded route was asked without a token that opens it.

    `code` is the stable word clients may branch on, `detail` what the tutorial's guard answers,
    and `error` the RFC 6750 section 3.1 error of the challenge, none where no token was sent.
    """

    status: ClassVar[int] = 401
    code: ClassVar[str]
    detail: ClassVar[str] = "Invalid JWT"
    error: ClassVar[str | None] = "invalid_token"

    def challenge(self) -> str:
        """Return the value of `WWW-Authenticate` for this refusal (RFC 6750 section 3)."""
        if self.error is None:
            return 'Bearer realm="keyturn"'
        return f'Bearer realm="keyturn", error="{self.error}", error_description="{self.detail}"'


class MissingTokenError(BearerError):
    """No bearer token was sent."""

    code = "missing_token"
    error = None


class InvalidTokenError(BearerError):
    """The token is malformed, forged, for somebody else, or lacks a claim."""

    code = "invalid_token"


class ExpiredTokenError(BearerError):
    """The token was good and has expired: time to refresh."""

    code = "token_expired"


class RevokedTokenError(BearerError):
    """The token is good, but its login was ended or its user disabled: time to log in."""

    code = "token_revoked"
