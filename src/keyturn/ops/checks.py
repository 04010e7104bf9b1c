"""What goes wrong in practice, one function a thing; each says how to mend it.

A check takes what it judges, and asks nothing by itself.
"""

import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from keyturn.origin import is_trustworthy

SLOWEST_HASH = 1000  # milliseconds: a login that takes longer feels broken
DRIFT = timedelta(seconds=2)
LAG = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """What a check found. `mend` says what to do; there is nothing to do where it is empty."""

    check: str
    found: str
    mend: str = ""

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.mend


def env_file(path: Path) -> Finding:
    """Judge who may read the file with the secrets, if there is one."""
    if not path.exists():
        return Finding("env_file", "none")
    mode = stat.S_IMODE(path.stat().st_mode)
    found = f"{path} has mode {mode:04o}"
    return Finding("env_file", found, "chmod 600 .env" if mode & 0o077 else "")


def migrations(found: Sequence[str], outdated: Collection[str]) -> Finding:
    """Judge the revisions of the database."""
    ready = bool(found) and not {*outdated}.intersection(found)
    return Finding("migrations", ", ".join(found) or "none", "" if ready else "flask db upgrade")


def sqlite_database(journal_mode: str, busy_timeout: int) -> Finding:
    """Judge how an SQLite file is written; `busy_timeout` in milliseconds."""
    found = f"SQLite, journal_mode {journal_mode}, busy_timeout {busy_timeout} ms"
    if journal_mode != "wal":
        return Finding("database", found, "Put the file on a local disk: WAL works on no other.")
    if busy_timeout < 1000:  # noqa: PLR2004 - a second
        return Finding("database", found, "Set SQLITE_BUSY_TIMEOUT to 1 or more.")
    return Finding("database", found)


def postgresql_database(settings: Mapping[str, str]) -> Finding:
    """Judge PostgreSQL's settings, as SHOW tells them."""
    found = ", ".join(f"{name} {value}" for name, value in settings.items())
    if settings["synchronous_commit"] == "off":
        return Finding(
            "database", found, "Set synchronous_commit to on: what was answered may be lost."
        )
    if settings["default_transaction_isolation"] != "read committed":
        return Finding("database", found, "Set default_transaction_isolation to read committed.")
    unbounded = [name for name, value in settings.items() if value == "0"]
    if unbounded:
        return Finding("database", found, f"Set {', '.join(unbounded)}: requests may hang.")
    return Finding("database", found)


def proxies(headers: Mapping[str, str] | None, hops: int) -> Finding:
    """Judge TRUSTED_PROXIES by the headers of a request whose client sent none of them, if any."""
    if headers is None:
        return Finding("proxies", f"TRUSTED_PROXIES {hops}, not judged: give a request's --header")
    addresses = [
        one.strip() for one in headers.get("x-forwarded-for", "").split(",") if one.strip()
    ]
    found = f"{len(addresses)} addresses in X-Forwarded-For, TRUSTED_PROXIES {hops}"
    if len(addresses) != hops:
        return Finding("proxies", found, f"Set TRUSTED_PROXIES={len(addresses)}.")
    return Finding("proxies", found)


def cookies(issuer: str, *, production: bool) -> Finding:
    """Judge whether browsers keep cookies with the flag Secure, which all of Keyturn's have."""
    secure = issuer.startswith("https:") if production else is_trustworthy(issuer)
    mend = "" if secure else "Serve over https, and set ISSUER to that URL: cookies are Secure."
    return Finding("cookies", f"Secure, HttpOnly, SameSite=Strict for {issuer}", mend)


def argon2(milliseconds: float) -> Finding:
    """Judge how long one password takes on this machine."""
    mend = "" if milliseconds <= SLOWEST_HASH else "Give it a faster CPU, or fewer neighbours."
    return Finding("argon2", f"{milliseconds:.0f} ms a password", mend)


def signing_key(fault: str | None, age: timedelta | None, oldest: timedelta | None) -> Finding:
    """Judge the key that signs; `age` None is a secret, `oldest` None a key that stays."""
    if fault is not None:
        return Finding(
            "signing_key", fault, "Restore KEY_ENCRYPTION_SECRET, or flask keys rotate --now."
        )
    if age is None:
        return Finding("signing_key", "ACCESS_SECRET signs (HS256)")
    late = oldest is not None and age > oldest
    return Finding("signing_key", f"signs for {age.days} days", "flask keys rotate" if late else "")


def clocks(here: datetime, there: datetime) -> Finding:
    """Judge this machine's clock by the database's."""
    drift = abs(here - there)
    mend = "" if drift <= DRIFT else "Let NTP set both clocks: tokens expire by them."
    return Finding("clocks", f"{drift.total_seconds():.1f} s apart", mend)


def purge_lag(lag: timedelta) -> Finding:
    """Judge how long dead logins stay past LOGIN_RETENTION."""
    mend = "" if lag <= LAG else "flask sessions purge, once a day by cron."
    return Finding("purge_lag", f"{lag}", mend)


def demo_users(emails: Sequence[str], *, production: bool) -> Finding:
    """Judge the users whose passwords everybody knows."""
    mend = "flask users delete, or set-password" if emails and production else ""
    return Finding("demo_users", ", ".join(emails) or "none", mend)
