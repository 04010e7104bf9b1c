"""Verifies signed JWTs of one kind, strictly: RFC 7519 by the rules of RFC 8725."""

import time
from functools import lru_cache
from typing import Any

from keyturn.bearer import ijson, signature
from keyturn.bearer.claims import TokenRules
from keyturn.bearer.errors import InvalidTokenError
from keyturn.bearer.keys import KeySet


class Verifier:
    """Checks tokens against one key set and one set of rules.

    So many that hold are `remembered`, some hundred bytes each.
    """

    def __init__(self, keys: KeySet, rules: TokenRules, *, remembered: int = 2048) -> None:
        self._keys = keys
        self._rules = rules
        # A signature that holds under a key does so for good, and a payload says the same each time
        # it is shown. Whether the key still counts is asked before, and whether the claims do,
        # after: each time. What does not hold is an exception, which is not kept, so that no flood
        # of it drives out what does.
        self._signed_payload = lru_cache(maxsize=remembered)(signature.signed_payload)
        self._read = lru_cache(maxsize=remembered)(self._read_first)

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that holds.

        Raises `ExpiredTokenError` for one whose time is over and `InvalidTokenError` for any
        other that does not hold.
        """
        header, payload = signature.verify(token, self._keys, self._signed_payload)
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
