"""Verifies signed JWTs of one kind, strictly: RFC 7519 by the rules of RFC 8725.

PyJWT does the cryptography and the claims; what it leaves to its caller is checked here.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from jwt.types import Options
from jwt.utils import base64url_decode

from keyturn.bearer.errors import ExpiredTokenError, InvalidTokenError
from keyturn.bearer.keys import KeySet

# RFC 7515 section 7.1, and nothing else: PyJWT would let a trailing "=" pass.
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_MAX_LENGTH = 8192
_NUMERIC_DATES = ("exp", "iat", "nbf")


@dataclass(frozen=True)
class TokenRules:
    """What a token of one kind must look like.

    `typ` is compared exactly (RFC 8725 section 3.11). `claims` must all be there. `audience` None
    means that this kind of token has none. `leeway` is the clock difference allowed, in seconds.
    `check_issued_at` refuses a token issued in the future.
    """

    typ: str
    issuer: str
    audience: str | None
    claims: tuple[str, ...]
    leeway: int = 0
    check_issued_at: bool = True


class Verifier:
    """Checks tokens against one key set and one set of rules."""

    def __init__(self, keys: KeySet, rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules
        self._options: Options = {
            "require": list(rules.claims),
            "verify_signature": True,
            "verify_exp": True,
            "verify_nbf": True,
            "verify_iat": rules.check_issued_at,
            "verify_iss": True,
            "verify_aud": True,
            "strict_aud": True,
            "verify_sub": True,
            "verify_jti": True,
            "enforce_minimum_key_length": True,
        }

    def verify(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token that holds.

        Raises `ExpiredTokenError` for one whose time is over and `InvalidTokenError` for any
        other that does not hold.
        """
        key = self._keys.find(_key_id(token))
        if key is None:
            raise InvalidTokenError
        try:
            decoded = jwt.decode_complete(
                token,
                key,
                algorithms=[key.algorithm_name],
                options=self._options,
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=self._rules.leeway,
            )
        except jwt.ExpiredSignatureError as error:
            raise ExpiredTokenError from error
        except Exception as error:  # past PyJWTs raised RecursionError, TypeError
            raise InvalidTokenError from error
        self._check_what_pyjwt_leaves(decoded["header"], decoded["payload"])
        return decoded["payload"]  # type: ignore[no-any-return]

    def _check_what_pyjwt_leaves(self, header: dict[str, Any], claims: dict[str, Any]) -> None:
        # crit: no extension is understood here (RFC 7515 section 4.1.11); b64 must not be used in
        # JWTs (RFC 7797 section 7).
        if header.get("typ") != self._rules.typ or "crit" in header or "b64" in header:
            raise InvalidTokenError
        # RFC 7519 section 4.1.4: a number. PyJWT takes "1" and true as well.
        if any(type(claims[name]) not in (int, float) for name in _NUMERIC_DATES if name in claims):
            raise InvalidTokenError


def _key_id(token: str) -> str:
    if len(token) > _MAX_LENGTH:
        raise InvalidTokenError
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise InvalidTokenError
    return _key_id_of_header(match[1])


@lru_cache(maxsize=64)  # all tokens of one key share one header, to the byte
def _key_id_of_header(segment: str) -> str:
    try:
        kid = json.loads(base64url_decode(segment))["kid"]
    except Exception as error:  # hostile bytes
        raise InvalidTokenError from error
    if not isinstance(kid, str):
        raise InvalidTokenError
    return kid
