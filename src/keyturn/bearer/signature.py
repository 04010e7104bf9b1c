"""JSON Web Signatures in their compact form (RFC 7515), by the rules of RFC 8725.

PyJWT's algorithms do the cryptography, with keys that were prepared when they were loaded. Its own
`decode` prepares the key again for each token, which takes four fifths of the time of an HS256.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from jwt import PyJWK
from jwt.utils import base64url_decode, base64url_encode

from keyturn.bearer import ijson
from keyturn.bearer.errors import InvalidTokenError
from keyturn.bearer.keys import KeySet

# RFC 7515 section 7.1, and nothing else: no "=", no white space, no fourth part.
_COMPACT = re.compile(r"([A-Za-z0-9_-]+\.([A-Za-z0-9_-]*))\.([A-Za-z0-9_-]+)", re.ASCII)
_DOTS = 2  # looked for before the key, which may have to be fetched; the whole shape after it
_MAX_LENGTH = 8192

# No extension is understood here (RFC 7515 section 4.1.11), and JWTs must not use b64 (RFC 7797
# section 7). What else a header may hold, `jku`, `jwk` and `x5u` among it, is not even looked at.
_REFUSED = ("crit", "b64")


@dataclass(frozen=True)
class Header:
    """What counts of a token's header: the key's id, the algorithm, and what kind of token it is.

    `type` is None where the header has no `typ`, or one that is not a string.
    """

    kid: str
    algorithm: str
    type: str | None


def signed_payload(key: PyJWK, token: str) -> bytes:
    """Return the payload that a key has signed. Raises `InvalidTokenError`."""
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise InvalidTokenError
    signed, payload_part, signature_part = match.groups()
    try:
        payload, signature = _decode(payload_part), _decode(signature_part)
    except ValueError as error:
        raise InvalidTokenError from error
    if not key.Algorithm.verify(signed.encode("ascii"), key.key, signature):
        raise InvalidTokenError
    return payload


def verify(
    token: str, keys: KeySet, payload_of: Callable[[PyJWK, str], bytes] = signed_payload
) -> tuple[Header, bytes]:
    """Return a token's header and its payload, when its signature holds.

    The algorithm is that of the key; a token that names another is refused (RFC 8725 section 3.1).
    `payload_of` is `signed_payload` or remembers it. Raises `InvalidTokenError`.
    """
    if len(token) > _MAX_LENGTH or token.count(".") != _DOTS:
        raise InvalidTokenError
    try:
        header = _parse_header(token.partition(".")[0])
    except ValueError as error:
        raise InvalidTokenError from error
    key = keys.find(header.kid)
    if key is None or key.algorithm_name != header.algorithm:
        raise InvalidTokenError
    return header, payload_of(key, token)


@lru_cache(maxsize=64)  # all tokens of one key share one header, to the byte
def _parse_header(part: str) -> Header:
    members = ijson.parse(_decode(part))
    if not isinstance(members, dict) or any(name in members for name in _REFUSED):
        raise ValueError("not a header that is understood")
    kid, algorithm, kind = (members.get(name) for name in ("kid", "alg", "typ"))
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        raise ValueError("no kid or no alg")  # noqa: TRY004 - one error for all that is hostile
    return Header(kid, algorithm, kind if isinstance(kind, str) else None)


def _decode(part: str) -> bytes:
    """Decode base64url; raises `ValueError` where spare bits are set, which PyJWT's leaves be."""
    octets = base64url_decode(part)
    if base64url_encode(octets).decode("ascii") != part:
        raise ValueError("not canonical base64url")
    return octets
