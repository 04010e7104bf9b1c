"""Everything Keyturn refuses, as one tree: what went wrong, its stable code and its HTTP status.

Use cases raise these; `keyturn.http.problems` turns them into RFC 9457 problem details and
`keyturn.console` into exit codes. What a bearer token can be refused for is a tree of its own,
`keyturn.bearer.errors`, because that package can be used without the rest.
"""

from collections.abc import Mapping
from typing import ClassVar


class ConfigurationError(Exception):
    """The service cannot start with these settings; the message says which and why."""


class KeyturnError(Exception):
    """A request that cannot be served.

    `code` is the stable word clients may branch on, `status` the HTTP status, `detail` a sentence
    for people. `errors` tells the faults by field where the body does not fit its schema,
    `retry_after` (seconds) when it is worth trying again, and `reason`, a stable word too, which
    rule of several it was.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    detail: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Mapping[str, object] | None = None,
        retry_after: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(detail or self.detail)
        self.errors = errors
        self.retry_after = retry_after
        self.reason = reason


# --- the request itself ---------------------------------------------------------------------------


class BadRequestError(KeyturnError):
    """The request is not valid HTTP."""

    status = 400
    code = "bad_request"
    detail = "The request is not valid HTTP."


class UnknownRouteError(KeyturnError):
    """No route has this path."""

    status = 404
    code = "not_found"
    detail = "There is nothing here."


class MethodNotAllowedError(KeyturnError):
    """The route has no such method. Answered with those it has (RFC 9110 section 15.5.6)."""

    status = 405
    code = "method_not_allowed"
    detail = "This route has no such method."


class InvalidJSONError(KeyturnError):
    """The body is not one I-JSON text (RFC 7493)."""

    status = 400
    code = "invalid_json"
    detail = "The body is not valid JSON."


class InvalidFormError(KeyturnError):
    """The body is not one form of distinct fields (RFC 6749 appendix B)."""

    status = 400
    code = "invalid_form"
    detail = "The body is not a valid form."


class InvalidHeaderError(KeyturnError):
    """A request header has a value that its definition does not allow."""

    status = 400
    code = "invalid_header"
    detail = "A request header has an invalid value."


class IncompleteBodyError(KeyturnError):
    """The body broke off, or its chunked framing is wrong (RFC 9112 section 7.1)."""

    status = 400
    code = "incomplete_body"
    detail = "The body could not be read to its end."


class AmbiguousTokenError(KeyturnError):
    """More than one refresh token was sent, and they may differ (RFC 6750 section 2)."""

    status = 400
    code = "ambiguous_token"
    detail = "Send one refresh token: in the body, or as the cookie, and that once."


class BodyTimeoutError(KeyturnError):
    """The body did not arrive in time (RFC 9110 section 15.5.9)."""

    status = 408
    code = "request_timeout"
    detail = "The body did not arrive in time."


class BodyTooLargeError(KeyturnError):
    """The body is larger than any body this service takes."""

    status = 413
    code = "body_too_large"
    detail = "The body is too large."


class UnsupportedMediaTypeError(KeyturnError):
    """The body does not say that it is what the route takes, in UTF-8."""

    status = 415
    code = "unsupported_media_type"
    detail = "Send the body as the media type that this route takes, in UTF-8."


class ValidationFailedError(KeyturnError):
    """The request parses, but does not fit its schema; `errors` tells the faults by field."""

    status = 422
    code = "validation_failed"
    detail = "The request does not fit its schema."


class WeakPasswordError(KeyturnError):
    """A new password that the password policy does not take; detail and `reason` say why."""

    status = 422
    code = "weak_password"
    detail = "The password is too weak."


# --- who is asking --------------------------------------------------------------------------------


class UnauthenticatedError(KeyturnError):
    """The caller has not shown who they are. Answered with a challenge (RFC 9110, 15.5.2)."""

    status = 401
    challenge: ClassVar[str] = 'Bearer realm="keyturn"'


class InvalidCredentialsError(UnauthenticatedError):
    """Wrong password, unknown e-mail or disabled user: one answer for all three."""

    code = "invalid_credentials"
    detail = "The e-mail or the password is wrong."


class MissingRefreshTokenError(UnauthenticatedError):
    """No refresh token was sent, neither in a body nor as a cookie."""

    code = "refresh_missing"
    detail = "There is no refresh token in this request."


class InvalidRefreshTokenError(UnauthenticatedError):
    """Not a refresh token of this service, or one whose login is not known (any more)."""

    code = "refresh_invalid"
    detail = "The refresh token is not valid."


class ExpiredRefreshTokenError(UnauthenticatedError):
    """The login of this refresh token has outlived its idle or its absolute lifetime."""

    code = "refresh_expired"
    detail = "The refresh token has expired."


class RevokedRefreshTokenError(UnauthenticatedError):
    """The login of this refresh token was ended, or its user is disabled."""

    code = "refresh_revoked"
    detail = "The login of this refresh token has ended."


class ReusedRefreshTokenError(UnauthenticatedError):
    """A spent token came back, so somebody has a copy: the login is over (RFC 9700, 4.14.2)."""

    code = "refresh_reused"
    detail = "The refresh token was used before. Its login has been ended."


class InvalidServiceTokenError(UnauthenticatedError):
    """Not the token of a service, or (any more) of the one that is named with it."""

    code = "service_token_invalid"
    detail = "The service token is not valid."
    challenge = 'Bearer realm="keyturn", error="invalid_token", Basic realm="keyturn"'


class TooManyReplaysError(KeyturnError):
    """A refresh was repeated more often than any honest client repeats it."""

    status = 429
    code = "too_many_replays"
    detail = "This refresh was repeated too often."


class OriginNotAllowedError(KeyturnError):
    """A page that may not use cookies asked with one, or for one."""

    status = 403
    code = "origin_not_allowed"
    detail = "Pages of this origin may not use cookies here."


class TooManyAttemptsError(KeyturnError):
    """A budget of guesses is spent; nothing was checked. The same whether the account exists."""

    status = 429
    code = "too_many_attempts"
    detail = "Too many attempts. Try again later."


# --- what is asked for ----------------------------------------------------------------------------


class WrongPasswordError(KeyturnError):
    """The current password, asked for to confirm a change, is wrong; the bearer token is fine."""

    status = 403
    code = "wrong_password"
    detail = "The current password is wrong."


class UnknownUserError(KeyturnError):
    """No such user."""

    status = 404
    code = "user_not_found"
    detail = "There is no such user."


class UnknownLoginError(KeyturnError):
    """No such login, or not one of the caller's own."""

    status = 404
    code = "session_not_found"
    detail = "There is no such session."


class UnknownServiceError(KeyturnError):
    """No service of this name may ask. Operators name services; no route does."""

    detail = "There is no such service."


class ServiceExistsError(KeyturnError):
    """A service of this name has a token already. Operators name services; no route does."""

    detail = "There is a service of this name already."


class UnknownKeyError(KeyturnError):
    """No such signing key. Operators name keys; no route does."""

    detail = "There is no such key."


class EmailTakenError(KeyturnError):
    """Another user has this e-mail; case makes no difference."""

    status = 409
    code = "email_taken"
    detail = "The e-mail belongs to another user."


class RegistrationClosedError(KeyturnError):
    """People cannot add themselves here."""

    status = 403
    code = "registration_closed"
    detail = "Accounts are made by the operator of this service."


class CopyRefusedError(KeyturnError):
    """A copy of the database that was not begun, or not kept. Only a command makes one."""


class UnavailableError(KeyturnError):
    """The database cannot serve this now. Nothing was changed; the request may be sent again."""

    status = 503
    code = "unavailable"
    detail = "The service cannot answer at the moment. Try again."


class BusyError(KeyturnError):
    """All cores compute password hashes and enough requests wait. Nothing was checked."""

    status = 503
    code = "busy"
    detail = "Too many passwords are being checked at the moment. Try again."
