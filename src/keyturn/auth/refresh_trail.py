"""What the audit trail tells of refreshes. Nothing of those that are as usual."""

from dataclasses import astuple
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from keyturn.audit import trail
from keyturn.audit.models import Kind
from keyturn.auth.judgement import Verdict
from keyturn.auth.tokens import Client
from keyturn.database import transaction
from keyturn.tokens.refresh import PresentedToken


def client_changed(session: Session, presented: PresentedToken, now: datetime) -> None:
    """Tell that a login is now used by another client or from elsewhere."""
    _record(session, Kind.CLIENT_CHANGED, presented, now)


def expired(session: Session, presented: PresentedToken, now: datetime) -> None:
    """Tell, in a transaction of its own, that a token was refused whose own time is over."""
    # Asked before the transaction, so that who tries on and on takes no write lock.
    if not _is_told(session, Verdict.EXPIRED, presented, now):
        with transaction(session):
            _record(session, Kind.REFRESH_REFUSED, presented, now, reason=Verdict.EXPIRED.value)


def refused(
    session: Session,
    verdict: Verdict,
    presented: PresentedToken,
    login: Row[*tuple[Any, ...]] | None,
    now: datetime,
) -> None:
    """Tell that a token was refused: once an hour to each address, for the same reason."""
    if not _is_told(session, verdict, presented, now):
        state = _state(login) if login is not None else {}
        _record(session, Kind.REFRESH_REFUSED, presented, now, reason=verdict.value, **state)


def replayed(
    session: Session,
    presented: PresentedToken,
    login: Row[*tuple[Any, ...]] | None,
    client: Client,
    now: datetime,
) -> None:
    """Tell that a step was answered again."""
    # Of a step's replays the first, and those from elsewhere: two tabs are no news.
    if login is not None and (
        login.replays == 0 or (login.user_agent, login.ip_address) != astuple(client)
    ):
        _record(session, Kind.REFRESH_REPLAYED, presented, now, **_state(login))


def _is_told(session: Session, verdict: Verdict, presented: PresentedToken, now: datetime) -> bool:
    return trail.is_recorded(
        session,
        Kind.REFRESH_REFUSED,
        reason=verdict.value,
        login_id=presented.login_id,
        now=now,
    )


def _record(
    session: Session,
    kind: Kind,
    presented: PresentedToken,
    now: datetime,
    reason: str | None = None,
    **state: Any,
) -> None:
    trail.record(
        session,
        kind,
        now=now,
        reason=reason,
        user_id=presented.user_id,
        login_id=presented.login_id,
        generation=presented.generation,
        **state,
    )


def _state(login: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    """Return what the login's last refresh left, to compare the request with."""
    return {
        "newest_generation": login.generation,
        "last_refresh": login.rotated_at.isoformat(),
        "last_address": login.ip_address,
        "last_user_agent": login.user_agent,
    }
