"""Device tokens: a client that logged in before shows one, and is no stranger at its next login.

A device token logs nobody in. All it gives is a budget of its own for guesses at one user's
password, so that strangers who spend theirs cannot lock that user out (`keyturn.throttle`). So it
lives long, needs no row, and outlives a change of the password.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.bearer.claims import TokenRules
from keyturn.bearer.errors import BearerError
from keyturn.bearer.verifier import Verifier
from keyturn.tokens.signing import HmacSigner

CLAIMS = ("iss", "sub", "jti", "iat", "exp")


class DeviceTokens:
    """Writes and reads device tokens. `lifetime` is in seconds."""

    TYPE = "device+jwt"

    def __init__(self, key: bytes, *, issuer: str, lifetime: int) -> None:
        self._signer = HmacSigner(key)
        self._issuer = issuer
        self._lifetime = lifetime
        rules = TokenRules(self.TYPE, issuer, None, CLAIMS, check_issued_at=False)
        self._verifier = Verifier(self._signer.keys, rules)

    def issue(self, user_id: UUID, device_id: UUID, *, now: datetime) -> str:
        """Return a token that says: this device has logged this user in."""
        issued_at = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": str(user_id),
            "jti": str(device_id),
            "iat": issued_at,
            "exp": issued_at + self._lifetime,
        }
        return self._signer.sign(claims, typ=self.TYPE)

    def device_of(self, token: str | None, user_id: UUID | None) -> UUID | None:
        """Return which device of this user shows the token.

        None for no token, one that does not hold, or another user's: whoever shows it is a
        stranger.
        """
        try:
            claims = self._verifier.verify(token or "")
            return UUID(claims["jti"]) if claims["sub"] == str(user_id) else None
        except (BearerError, AttributeError, TypeError, ValueError):
            return None
