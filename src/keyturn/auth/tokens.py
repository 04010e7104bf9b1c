"""What a client is handed: an access token and, mostly, the refresh token of its login."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from keyturn.tokens.access import AccessTokens
from keyturn.tokens.device import DeviceTokens
from keyturn.tokens.refresh import RefreshClaims, RefreshTokens


@dataclass(frozen=True)
class Lifetimes:
    """How long a login lasts, and how long a spent token is answered again."""

    idle: timedelta
    absolute: timedelta
    grace: timedelta


@dataclass(frozen=True)
class Client:
    """Where a request comes from, as it is kept with the login."""

    user_agent: str
    ip_address: str


@dataclass(frozen=True)
class IssuedTokens:
    """The answer to a login or refresh. Lifetimes are in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int | None = None
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750's word for it
    device_token: str | None = None


class LoginState(Protocol):
    """The columns of a login that its tokens are made of: a model or a row has them."""

    id: UUID
    user_id: UUID
    generation: int
    rotated_at: datetime
    idle_expires_at: datetime
    absolute_expires_at: datetime


@dataclass(frozen=True)
class TokenIssuer:
    """Makes the tokens of a login."""

    access: AccessTokens
    refresh: RefreshTokens
    device: DeviceTokens

    def both(self, login: LoginState, now: datetime) -> IssuedTokens:
        """Return an access token and the refresh token of the login's current generation."""
        access_token, expires_in = self._access(login, now)
        refresh_token = self.refresh.encode(
            RefreshClaims(
                user_id=login.user_id,
                login_id=login.id,
                generation=login.generation,
                issued_at=login.rotated_at,
                expires_at=login.idle_expires_at,
            )
        )
        remaining = int((login.idle_expires_at - now).total_seconds())
        return IssuedTokens(access_token, expires_in, refresh_token, remaining)

    def for_device(self, login: LoginState, device_id: UUID, now: datetime) -> IssuedTokens:
        """Return both tokens, and the one that tells this device from strangers from now on."""
        device_token = self.device.issue(login.user_id, device_id, now=now)
        return replace(self.both(login, now), device_token=device_token)

    def access_only(self, login: LoginState, now: datetime) -> IssuedTokens:
        """Return an access token alone."""
        return IssuedTokens(*self._access(login, now))

    def _access(self, login: LoginState, now: datetime) -> tuple[str, int]:
        return self.access.issue(
            login.user_id, login.id, now=now, ends_at=login.absolute_expires_at
        )
