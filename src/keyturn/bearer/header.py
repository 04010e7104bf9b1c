"""The Authorization header of RFC 6750 section 2.1, the only place a token is taken from."""

from keyturn.bearer.errors import MissingTokenError


def bearer_token(authorization: str | None) -> str:
    """Return what an Authorization header's value holds after `Bearer`: a token, if it holds.

    The scheme's case does not count (RFC 9110 section 11.1). Two Authorization fields reach a WSGI
    application joined by a comma, which no JWT contains. Raises `MissingTokenError` where the
    header is absent or of another scheme.
    """
    scheme, _, rest = (authorization or "").strip(" \t").partition(" ")
    token = rest.lstrip(" ")
    if scheme.lower() != "bearer" or not token:
        raise MissingTokenError
    return token
