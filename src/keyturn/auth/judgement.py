"""What a refresh token gets, by the row of its login. Pure."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from keyturn.errors import (
    ExpiredRefreshTokenError,
    InvalidRefreshTokenError,
    KeyturnError,
    ReusedRefreshTokenError,
    RevokedRefreshTokenError,
    TooManyReplaysError,
)

MAX_REPLAYS = 32  # a page whose twenty requests all met a 401, and some retries


class Verdict(Enum):
    """What a refresh token gets; its value is the word for logs and metrics."""

    ROTATED = "rotated"
    INVALID = "invalid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SUCCESSOR = "replayed"
    ACCESS_ONLY = "access_only"
    TOO_MANY_REPLAYS = "too_many_replays"
    REUSED = "reused"


REFUSALS: dict[Verdict, type[KeyturnError]] = {
    Verdict.INVALID: InvalidRefreshTokenError,
    Verdict.EXPIRED: ExpiredRefreshTokenError,
    Verdict.REVOKED: RevokedRefreshTokenError,
    Verdict.TOO_MANY_REPLAYS: TooManyReplaysError,
    Verdict.REUSED: ReusedRefreshTokenError,
}


def judge(
    login: Any,
    generation: int,
    key_hash: str | None,
    grace: timedelta,
    now: datetime,
) -> Verdict:
    """Decide what a token of `generation` gets. `login` is the row of its login, or None."""
    if login is None:
        return Verdict.INVALID
    if login.revoked_at is not None or login.disabled_at is not None:
        return Verdict.REVOKED
    if now >= min(login.idle_expires_at, login.absolute_expires_at):
        return Verdict.EXPIRED
    steps_behind = login.generation - generation
    if steps_behind == 1:
        return _judge_predecessor(login, key_hash, grace, now)
    if steps_behind < 0:  # from the future: the database is a restored backup
        return Verdict.INVALID
    return Verdict.ROTATED if steps_behind == 0 else Verdict.REUSED


def _judge_predecessor(
    login: Any, key_hash: str | None, grace: timedelta, now: datetime
) -> Verdict:
    same_key = login.retry_key_hash is not None and login.retry_key_hash == key_hash
    if not same_key and now - login.rotated_at > grace:
        return Verdict.REUSED
    if login.replays >= MAX_REPLAYS:
        return Verdict.TOO_MANY_REPLAYS
    if same_key or login.retry_key_hash is None:
        return Verdict.SUCCESSOR
    return Verdict.ACCESS_ONLY
