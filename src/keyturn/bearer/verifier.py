"""Verifies signed JWTs of one kind, strictly: RFC 7519 by the rules of RFC 8725."""

import time
from functools import lru_cache
from typing import Any

from keyturn.bearer import ijson, signature
from keyturn.bearer.claims import TokenRules
from keyturn.bearer.errors import InvalidTokenError
from keyturn.bearer.keys import KeySet


class Verifier:
    """Checks tokens against one key set and one set of rules."""

    def __init__(self, keys: KeySet, rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules
        # A payload says the same each time it is shown. What it lacks is an exception: not kept.
        self._read = lru_cache(maxsize=2048)(self._read_first)

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that holds.

        Raises `ExpiredTokenError` for one whose time is over and `InvalidTokenError` for any
        other that does not hold.
        """
        header, payload = signature.verify(token, self._keys)
        if header.type != self._rules.typ:
            raise InvalidTokenError
        claims = dict(self._read(payload))  # the caller's own
        self._rules.check_time(claims, time.time())
        return claims

    def _read_first(self, payload: bytes) -> dict[str, Any]:
        try:
            claims = ijson.parse(payload)
        except ValueError as error:
            raise InvalidTokenError from error
        if not isinstance(claims, dict):
            raise InvalidTokenError
        self._rules.check_form(claims)
        return claims
