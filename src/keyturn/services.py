"""What the use cases work with, built once from the settings and kept with the app."""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import current_app

from keyturn.auth.tokens import Lifetimes, TokenIssuer
from keyturn.blocklist import common_passwords
from keyturn.config import Settings
from keyturn.origin import origin_of
from keyturn.passwords import Passwords
from keyturn.policy import PasswordPolicy
from keyturn.tokens.access import AccessTokens
from keyturn.tokens.refresh import RefreshTokens
from keyturn.tokens.signing import HmacSigner

EXTENSION = "keyturn"


@dataclass(frozen=True)
class Services:
    """Settings, and what was made of them."""

    settings: Settings
    passwords: Passwords
    policy: PasswordPolicy
    issuer: TokenIssuer
    lifetimes: Lifetimes
    retention: timedelta
    allowed_origins: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> "Services":
        """Build everything a running service needs."""
        access = AccessTokens(
            HmacSigner(settings.access_secret.encode()),
            issuer=settings.issuer,
            audience=settings.audience,
            lifetime=settings.access_ttl,
            leeway=settings.leeway,
        )
        refresh = RefreshTokens(settings.refresh_secret.encode(), issuer=settings.issuer)
        return cls(
            settings=settings,
            passwords=Passwords(hmac_key=settings.flask_security_password_salt),
            policy=PasswordPolicy(
                settings.password_min_length,
                common=common_passwords(),
                service=("Keyturn", settings.issuer, settings.audience),
            ),
            issuer=TokenIssuer(access, refresh),
            lifetimes=Lifetimes(
                idle=timedelta(seconds=settings.refresh_idle_ttl),
                absolute=timedelta(seconds=settings.refresh_absolute_ttl),
                grace=timedelta(seconds=settings.refresh_grace),
            ),
            retention=timedelta(seconds=settings.login_retention),
            allowed_origins=frozenset(
                filter(None, (origin_of(settings.issuer), *settings.cors_origins))
            ),
        )


def services() -> Services:
    """Return the services of the current app."""
    return cast("Services", current_app.extensions[EXTENSION])
