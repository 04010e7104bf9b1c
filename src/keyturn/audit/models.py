"""The audit_events table: one row is one thing that was done, tried or refused."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from keyturn.audit.actor import MAX_ADDRESS, MAX_USER_AGENT
from keyturn.database import Base


class Kind(StrEnum):
    """What happened. docs/audit.md says more of each."""

    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    CLIENT_CHANGED = "client_changed"
    REFRESH_REPLAYED = "refresh_replayed"
    REFRESH_REFUSED = "refresh_refused"
    LOGIN_ENDED = "login_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - no password
    PASSWORD_CHANGE_FAILED = "password_change_failed"  # noqa: S105 - no password
    USER_CREATED = "user_created"
    USER_EXISTS = "user_exists"
    USER_RENAMED = "user_renamed"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    USER_DELETED = "user_deleted"
    USER_DELETE_FAILED = "user_delete_failed"
    SERVICE_CREATED = "service_created"
    SERVICE_REVOKED = "service_revoked"
    KEY_CREATED = "key_created"
    KEY_RETIRED = "key_retired"
    KEY_REVOKED = "key_revoked"
    AUDIT_PURGED = "audit_purged"


class AuditEvent(Base):
    """An entry of the audit trail. It outlives its user and its login, so it refers to neither.

    `id` is a UUIDv7 (RFC 9562 section 5.7): it rises with `at`, and is the index by time. `reason`
    is one word, by kind; `detail` what else is known. Who did it is `operator`, a user of the
    operating system, the client at `ip_address`, or Keyturn itself where neither is told.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_login_id_id", "login_id", "id"),
        Index("ix_audit_events_user_id_id", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str | None] = mapped_column(String(32))
    user_id: Mapped[UUID | None]
    login_id: Mapped[UUID | None]
    operator: Mapped[str | None] = mapped_column(String(64))
    ip_address: Mapped[str | None] = mapped_column(String(MAX_ADDRESS))
    user_agent: Mapped[str | None] = mapped_column(String(MAX_USER_AGENT))
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    def described(self) -> dict[str, Any]:
        """Return the entry as operators see it, fit for JSON."""
        return {
            "time": self.at.isoformat(),
            "kind": self.kind,
            "reason": self.reason,
            "user": str(self.user_id) if self.user_id else None,
            "session": str(self.login_id) if self.login_id else None,
            "operator": self.operator,
            "address": self.ip_address,
            "user_agent": self.user_agent,
            "detail": self.detail,
        }
