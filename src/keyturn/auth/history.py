"""Why was I logged out: the story of one login, told from its row and the audit trail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from keyturn.audit import trail
from keyturn.audit.models import AuditEvent, Kind
from keyturn.auth import credentials, rotation, sessions
from keyturn.auth.judgement import Verdict
from keyturn.auth.models import RefreshToken
from keyturn.auth.tokens import Lifetimes
from keyturn.tokens.refresh import PresentedToken
from keyturn.users.models import User

LIVE = "live"
EXPIRED = "expired"
UNKNOWN = "unknown"
IDLE = "idle"
ABSOLUTE = "absolute"

RULES = {
    LIVE: "It lives.",
    IDLE: "It was not refreshed for as long as REFRESH_IDLE_TTL, and ended by itself.",
    ABSOLUTE: "It had lived for as long as REFRESH_ABSOLUTE_TTL: the password is asked for again.",
    EXPIRED: "It is deleted, and nobody ended it: it expired, longer ago than LOGIN_RETENTION.",
    UNKNOWN: "There is no such login, nor a trace of it: it is of another database or of one that "
    "was restored from an older backup, or older than AUDIT_RETENTION.",
    sessions.LOGGED_OUT: "Its client logged out.",
    sessions.REPLACED: "Its browser logged in anew, which replaces the login before.",
    sessions.ENDED_BY_USER: "Its user ended it from another of their sessions.",
    sessions.ENDED_BY_OPERATOR: "An operator ended it: flask sessions revoke.",
    rotation.REUSED: "A refresh token that was spent long before came back. Either it was stolen, "
    "or its client keeps old tokens; compare the addresses below.",
    credentials.PASSWORD_CHANGED: "The password was changed, which ends all other logins.",
    credentials.USER_DISABLED: "Its user is disabled.",
    credentials.USER_DELETED: "Its user was deleted.",
}

TOKEN_GETS = {
    Verdict.ROTATED: "This token is the newest one: a refresh works.",
    Verdict.SUCCESSOR: "This token was spent just now: a refresh is answered again.",
    Verdict.ACCESS_ONLY: "This token was spent just now, with an Idempotency-Key: without that a "
    "refresh gets an access token alone.",
    Verdict.TOO_MANY_REPLAYS: "This token was spent just now, and has been sent too often since.",
    Verdict.REUSED: "This token was spent long before: a refresh with it would end the login. Its "
    "client has a newer one, or has lost it.",
    Verdict.REVOKED: "A refresh with this token is refused: the login has been ended.",
    Verdict.EXPIRED: "A refresh with this token is refused: its time is over.",
    Verdict.INVALID: "A refresh with this token is refused: the database is older than the token, "
    "or does not know its login.",
}


@dataclass(frozen=True)
class History:
    """What is known of a login: its row, if that is still there, and what the trail tells."""

    login: RefreshToken | None
    events: Sequence[AuditEvent]
    rule: str


def of(session: Session, login_id: UUID, now: datetime) -> History:
    """Return the history of a login, and by which of `RULES` it ended."""
    login = session.get(RefreshToken, login_id)
    events = trail.newest(session, trail.Filter(login_id=login_id))
    rule = _of_traces(events) if login is None else _of_row(session, login, now)
    return History(login, events, rule)


def fate(session: Session, presented: PresentedToken, lifetimes: Lifetimes, now: datetime) -> str:
    """Return what a refresh with this token would get now, without trying it."""
    return TOKEN_GETS[rotation.foresee(session, presented, lifetimes, now)]


def _of_row(session: Session, login: RefreshToken, now: datetime) -> str:
    if login.revoked_reason is not None:
        return login.revoked_reason
    user = session.get_one(User, login.user_id)
    if user.disabled_at is not None:
        return credentials.USER_DISABLED
    if now < login.idle_expires_at:  # which is never past the other
        return LIVE
    return ABSOLUTE if login.idle_expires_at == login.absolute_expires_at else IDLE


def _of_traces(events: Sequence[AuditEvent]) -> str:
    ended = [event.reason for event in events if event.kind == Kind.LOGIN_ENDED]
    if ended and ended[-1] is not None:
        return ended[-1]
    return EXPIRED if events else UNKNOWN
