"""All settings, in one table: name, type, default, help. The environment is where they come from.

`python -m keyturn.config` prints the table that docs/configuration.md holds.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from itertools import combinations
from typing import Any, Self, get_args

from sqlalchemy.engine import URL

from keyturn.errors import ConfigurationError
from keyturn.parsing import (
    DAY,
    Rate,
    choice,
    database_url,
    number,
    origins,
    rate,
    secret,
    text,
    url,
)


def setting(parse: Callable[[str], Any], explanation: str, default: str | None = None) -> Any:
    """Declare a setting: how its text is read, what it means, and its default as text."""
    metadata = {"parse": parse, "help": explanation, "default": default}
    return (
        field(metadata=metadata)
        if default is None
        else field(default=parse(default), metadata=metadata)
    )


def optional(parse: Callable[[str], Any], explanation: str) -> Any:
    """Declare a setting that may be left out and has no default: it is None then."""
    return field(default=None, metadata={"parse": parse, "help": explanation, "default": None})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one running service. A setting's variable is its name in capitals."""

    refresh_secret: str = setting(
        secret,
        "Signs refresh tokens; at least 32 random bytes, known to Keyturn alone. "
        "A new one logs everybody out.",
    )
    key_encryption_secret: str | None = optional(
        secret,
        "Encrypts the private keys in the database; at least 32 random bytes. Required unless "
        "`ACCESS_SECRET` is set. With another one the keys that are there cannot be used.",
    )
    access_secret: str | None = optional(
        secret,
        "Signs access tokens with HS256 instead of key pairs; at least 32 random bytes. Other "
        "services that hold it can sign tokens, too.",
    )
    signing_algorithm: str = setting(
        choice("ES256", "EdDSA", "RS256"),
        "What the next key pair is made for; those that are there stay what they are.",
        "ES256",
    )
    key_rotation_days: int = setting(
        number(0, 3650),
        "A new key pair takes over after so many days; 0: only when `flask keys rotate` says so.",
        "90",
    )
    jwks_max_age: int = setting(
        number(0, DAY),
        "Seconds that others may keep the public keys, and a new key waits before it signs. Not "
        "less than any verifier keeps them by its own configuration.",
        "600",
    )
    database_url: URL = setting(
        database_url,
        "SQLAlchemy URL. A relative SQLite path is relative to the working directory.",
        "sqlite:///keyturn.db",
    )
    keyturn_env: str = setting(
        choice("production", "development"),
        "`development` allows the demo users, whose passwords everybody knows.",
        "production",
    )
    issuer: str = setting(
        url, "`iss` of every token: the URL this service is known by.", "http://127.0.0.1:8000"
    )
    audience: str = setting(text, "`aud` of access tokens: who they are meant for.", "keyturn")
    cors_origins: frozenset[str] = setting(
        origins,
        "Origins, separated by commas, whose pages may read answers and, of the same site as "
        "Keyturn, use its cookies. Written exactly as browsers do: `https://app.example.com`.",
        "",
    )
    account_page: str = setting(
        choice("on", "off"),
        "`/account`, where people see and end their logins and change their password; `off`: 404.",
        "on",
    )
    registration: str = setting(
        choice("open", "closed"), "Whether people may add themselves at `POST /users`.", "closed"
    )
    registration_private: str = setting(
        choice("on", "off"),
        "`on`: the answer of `POST /users` does not tell whether the e-mail is taken.",
        "off",
    )
    access_ttl: int = setting(
        number(60, 3600), "Lifetime of an access token in seconds (RFC 6750: at most 1 h).", "900"
    )
    refresh_idle_ttl: int = setting(
        number(60, 400 * DAY),
        "A login that is not refreshed for so many seconds ends (14 days).",
        str(14 * DAY),
    )
    refresh_absolute_ttl: int = setting(
        number(60, 400 * DAY),
        "A login ends so many seconds after the password was given, used or not (90 days).",
        str(90 * DAY),
    )
    refresh_grace: int = setting(
        number(0, 60),
        "For so many seconds after a refresh, the token that was just spent gets the same answer "
        "again: two tabs, a quick retry.",
        "10",
    )
    login_retention: int = setting(
        number(0, 400 * DAY),
        "Logins that ended or expired are kept for so many seconds past their expiry (30 days).",
        str(30 * DAY),
    )
    audit_retention: int = setting(
        number(DAY, 3650 * DAY),
        "Entries of the audit trail, which hold addresses, are kept for so many seconds "
        "(180 days).",
        str(180 * DAY),
    )
    leeway: int = setting(
        number(0, 300), "Clock difference in seconds allowed when access tokens are checked.", "5"
    )
    password_min_length: int = setting(
        number(8, 64),
        "Shortest new password, in characters (NIST SP 800-63B-4: 15 where it is the only factor).",
        "15",
    )
    flask_security_password_salt: str = setting(
        str,
        "Flask-Security's SECURITY_PASSWORD_SALT, for users imported from there; see "
        "[import](import.md).",
        "",
    )
    throttle_account: Rate = setting(
        rate(100),
        "Wrong passwords allowed for one account, as attempts/seconds: so many at once, and as "
        "many again spread evenly over so many seconds (NIST SP 800-63B-4: at most 100 in a row). "
        "Each device that logged in before has as many of its own.",
        f"50/{30 * DAY}",
    )
    throttle_address: Rate = setting(
        rate(1_000_000),
        "Wrong passwords allowed from one address (IPv6: one /64). Behind a proxy, see "
        "TRUSTED_PROXIES.",
        "100/3600",
    )
    throttle_all: Rate = setting(
        rate(1_000_000),
        "Wrong passwords allowed from all strangers together, because a botnet has many addresses.",
        "5000/3600",
    )
    device_token_ttl: int = setting(
        number(60, 400 * DAY),
        "For so many seconds after a login, its device is no stranger (400 days).",
        str(400 * DAY),
    )
    hash_queue: int = setting(
        number(0, 64),
        "Requests of each worker that may wait for a core to hash a password on; past that, 503. "
        "0: as many as leave a quarter of THREADS to requests that hash nothing.",
        "0",
    )
    trusted_proxies: int = setting(
        number(0, 10),
        "Reverse proxies in front that set X-Forwarded-For and X-Forwarded-Proto. "
        "0 believes no such header.",
        "0",
    )
    log_level: str = setting(
        choice("debug", "info", "warning", "error"),
        "Least important lines that are logged. `info` has a line for every request, `warning` "
        "only those that ask for attention.",
        "info",
    )
    sqlite_busy_timeout: int = setting(
        number(1, 60), "Seconds to wait for another writer before answering 503.", "5"
    )
    postgres_lock_timeout: int = setting(
        number(1, 60), "Seconds to wait for another transaction before answering 503.", "5"
    )
    postgres_statement_timeout: int = setting(
        number(1, 600), "Seconds that one statement may take before answering 503.", "10"
    )
    sqlite_synchronous: str = setting(
        choice("FULL", "NORMAL"),
        "`FULL`: an answered change survives a power cut. `NORMAL`: only a crash of the process.",
        "FULL",
    )
    port: int = setting(number(1, 65535), "Where gunicorn listens.", "8000")
    host: str = setting(text, "The address gunicorn listens at.", "127.0.0.1")
    metrics_port: int = setting(
        number(0, 65535),
        "Where gunicorn answers Prometheus at `/metrics`, and nothing else; 0: nowhere.",
        "0",
    )
    metrics_host: str = setting(
        text, "The address of that port. Keep it from the public.", "127.0.0.1"
    )
    web_concurrency: int = setting(
        number(0, 64), "gunicorn worker processes; 0: one for each core.", "0"
    )
    threads: int = setting(number(1, 64), "Threads of each worker.", "16")

    @property
    def is_production(self) -> bool:
        """Whether real users are behind this service."""
        return self.keyturn_env == "production"

    @property
    def workers(self) -> int:
        """How many processes serve."""
        return self.web_concurrency or _cores()

    @property
    def hashes_at_once(self) -> int:
        """How many hashes a worker computes at once: its share of the cores."""
        return max(1, min(_cores() // self.workers, self._threads_for_hashing))

    @property
    def hashes_waiting(self) -> int:
        """How many requests of a worker may wait for their hash, in threads of their own."""
        return self.hash_queue or max(0, self._threads_for_hashing - self.hashes_at_once)

    @property
    def _threads_for_hashing(self) -> int:
        return self.threads * 3 // 4  # the others are free for whatever hashes nothing

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """Read and check all settings. Raises `ConfigurationError` naming all that are wrong."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        for declared in fields(cls):
            name = declared.name.upper()
            try:
                values |= _read(declared, environ.get(name))
            except ValueError as error:
                faults.append(f"{name} {error}")
        if not {"ACCESS_SECRET", "KEY_ENCRYPTION_SECRET"} & environ.keys():
            faults.append("KEY_ENCRYPTION_SECRET is not set")
        if faults := faults or _secrets_used_twice(values):
            raise ConfigurationError("; ".join(faults))
        settings = cls(**values)
        if faults := settings.conflicts():
            raise ConfigurationError("; ".join(faults))
        return settings

    def conflicts(self) -> list[str]:
        """Return what is wrong between settings that are each right."""
        faults = []
        if self.metrics_port == self.port:
            faults.append("METRICS_PORT and PORT must differ")
        if self.hash_queue and self.hash_queue + self.hashes_at_once >= self.threads:
            faults.append("HASH_QUEUE leaves none of THREADS to other requests")
        return faults


def _secrets_used_twice(values: Mapping[str, Any]) -> list[str]:
    secrets = [one.name for one in fields(Settings) if one.metadata["parse"] is secret]
    return [
        f"{one.upper()} and {other.upper()} must differ"
        for one, other in combinations([name for name in secrets if name in values], 2)
        if values[one] == values[other]
    ]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _read(declared: "Field[Any]", raw: str | None) -> dict[str, Any]:
    if raw is not None:
        return {declared.name: declared.metadata["parse"](raw)}
    if declared.default is MISSING:
        raise ValueError("is not set")
    return {}


def markdown() -> str:
    """Return the table of settings that the documentation shows."""
    rows = ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
    for declared in fields(Settings):
        default = declared.metadata["default"]
        kind = (get_args(declared.type) or (declared.type,))[0].__name__
        shown = f"`{default}`" if default else "not set"
        if declared.default is MISSING:
            shown = "required"
        rows.append(
            f"| `{declared.name.upper()}` | {kind} | {shown} | {declared.metadata['help']} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201 - this is the command's output
