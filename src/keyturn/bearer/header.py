"""The Authorization header of RFC 6750 section 2.1, the only place a token is taken from."""

import re

from keyturn.bearer.errors import InvalidTokenError, MissingTokenError

# RFC 6750 section 2.1: credentials = "Bearer" 1*SP b64token. The scheme's case does not count
# (RFC 9110 section 11.1). Two Authorization fields reach a WSGI application joined by a comma,
# which no b64token contains.
_CREDENTIALS = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.ASCII | re.IGNORECASE)


def bearer_token(authorization: str | None) -> str:
    """Return the token of an Authorization header's value.

    Raises `MissingTokenError` where the header is absent or of another scheme, and
    `InvalidTokenError` where it is a bearer's but holds anything else than one token.
    """
    scheme, _, rest = (authorization or "").strip(" \t").partition(" ")
    if scheme.lower() != "bearer" or not rest:
        raise MissingTokenError
    match = _CREDENTIALS.fullmatch(f"{scheme} {rest}")
    if match is None:
        raise InvalidTokenError
    return match[1]
