"""What the use cases work with, built once from the settings and kept with the app."""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import current_app

from keyturn import clock
from keyturn.auth.tokens import Lifetimes, TokenIssuer
from keyturn.blocklist import common_passwords
from keyturn.config import Settings
from keyturn.derivation import derived_key
from keyturn.hashing import HashingQueue
from keyturn.origin import origin_of
from keyturn.passwords import Passwords
from keyturn.policy import PasswordPolicy
from keyturn.throttle.budgets import Budgets
from keyturn.tokens.access import AccessTokens
from keyturn.tokens.device import DeviceTokens
from keyturn.tokens.key_rotation import KeyMaker
from keyturn.tokens.keypairs import Vault
from keyturn.tokens.keyring import KeyRing
from keyturn.tokens.lifecycle import Schedule
from keyturn.tokens.refresh import RefreshTokens
from keyturn.tokens.signing import HmacSigner, Signer
from keyturn.tokens.stored import StoredKeys

EXTENSION = "keyturn"


@dataclass(frozen=True)
class Services:
    """Settings, and what was made of them."""

    settings: Settings
    passwords: Passwords
    policy: PasswordPolicy
    signer: Signer
    key_maker: KeyMaker | None  # none where one secret signs
    tokens: TokenIssuer
    lifetimes: Lifetimes
    retention: timedelta
    allowed_origins: frozenset[str]
    audit_retention: timedelta
    budgets: Budgets

    @classmethod
    def of(cls, settings: Settings) -> "Services":
        """Build everything a running service needs."""
        signer, key_maker = _signing(settings)
        access = AccessTokens(
            signer,
            issuer=settings.issuer,
            audience=settings.audience,
            lifetime=settings.access_ttl,
            leeway=settings.leeway,
        )
        refresh = RefreshTokens(settings.refresh_secret.encode(), issuer=settings.issuer)
        device = DeviceTokens(
            derived_key(settings.refresh_secret, "device"),
            issuer=settings.issuer,
            lifetime=settings.device_token_ttl,
        )
        return cls(
            settings=settings,
            passwords=Passwords(
                HashingQueue(parallel=settings.hashes_at_once, waiting=settings.hashes_waiting),
                hmac_key=settings.flask_security_password_salt,
            ),
            policy=PasswordPolicy(
                settings.password_min_length,
                common=common_passwords(),
                service=("Keyturn", settings.issuer, settings.audience),
            ),
            signer=signer,
            key_maker=key_maker,
            tokens=TokenIssuer(access, refresh, device),
            lifetimes=Lifetimes(
                idle=timedelta(seconds=settings.refresh_idle_ttl),
                absolute=timedelta(seconds=settings.refresh_absolute_ttl),
                grace=timedelta(seconds=settings.refresh_grace),
            ),
            retention=timedelta(seconds=settings.login_retention),
            allowed_origins=frozenset(
                filter(None, (origin_of(settings.issuer), *settings.cors_origins))
            ),
            audit_retention=timedelta(seconds=settings.audit_retention),
            budgets=Budgets(
                derived_key(settings.refresh_secret, "throttle"),
                account=settings.throttle_account,
                address=settings.throttle_address,
                everything=settings.throttle_all,
            ),
        )

    @property
    def issuer(self) -> TokenIssuer:
        """What makes and reads tokens, under the keys as they are now. Ask before a transaction."""
        self.current_signer()
        return self.tokens

    def current_signer(self) -> Signer:
        """Return the signer, what it knows less than a second old. Ask before a transaction."""
        self.signer.refresh(clock.now())
        return self.signer


def _signing(settings: Settings) -> tuple[Signer, KeyMaker | None]:
    if settings.access_secret is not None:
        return HmacSigner(settings.access_secret.encode()), None
    schedule = Schedule.of(
        jwks_max_age=settings.jwks_max_age,
        access_ttl=settings.access_ttl,
        leeway=settings.leeway,
        rotation_days=settings.key_rotation_days,
    )
    vault = Vault(cast("str", settings.key_encryption_secret).encode())  # set, if the other is not
    key_maker = KeyMaker(settings.signing_algorithm, vault, schedule)
    return KeyRing(StoredKeys(key_maker), vault, schedule), key_maker


def services() -> Services:
    """Return the services of the current app."""
    known: Services = current_app.extensions[EXTENSION]
    return known
