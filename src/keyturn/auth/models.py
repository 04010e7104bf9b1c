"""The tables of logins: one row of refresh_tokens each, and revocations, of those that ended."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    and_,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from keyturn.audit.actor import MAX_ADDRESS, MAX_USER_AGENT
from keyturn.database import Base


class RefreshToken(Base):
    """One login. Its current refresh token is made of `id`, `user_id`, `generation` and times.

    `rotated_at` is when the current generation began. `idle_expires_at`, never later than
    `absolute_expires_at`, is when it ends. `replays` counts how often the step to the current
    generation was answered again, `retry_key_hash` is of the Idempotency-Key it was made with, and
    `client_changed` tells that it was made from another address or by another user agent.
    """

    __tablename__ = "refresh_tokens"
    # For what has long expired, and to count what lives without reading the rows.
    __table_args__ = (
        Index("ix_refresh_tokens_idle_expires_at_revoked_at", "idle_expires_at", "revoked_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    rotated_at: Mapped[datetime]
    idle_expires_at: Mapped[datetime]
    absolute_expires_at: Mapped[datetime]
    user_agent: Mapped[str] = mapped_column(String(MAX_USER_AGENT))
    ip_address: Mapped[str] = mapped_column(String(MAX_ADDRESS))
    client_changed: Mapped[bool] = mapped_column(default=False, server_default=false())
    replays: Mapped[int] = mapped_column(default=0)
    retry_key_hash: Mapped[str | None] = mapped_column(String(64))
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None] = mapped_column(String(32))


LOGINS = cast("Table", RefreshToken.__table__)

# What a login's tokens are made of (`keyturn.auth.tokens.LoginState`).
TOKEN_STATE = (
    LOGINS.c.id,
    LOGINS.c.user_id,
    LOGINS.c.generation,
    LOGINS.c.rotated_at,
    LOGINS.c.idle_expires_at,
    LOGINS.c.absolute_expires_at,
)


class Revocation(Base):
    """That a login was ended, told to other services while its access tokens may be in date.

    `position` is when, in microseconds since 1970 (UTC), moved on where that is needed for
    positions to rise in the order of the commits. The row outlives the login's own, which goes at
    once where a user is deleted, and holds nothing of the user.
    """

    __tablename__ = "revocations"

    position: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False
    )
    login_id: Mapped[UUID]


def is_live(login: Any, now: ColumnElement[datetime] | datetime) -> ColumnElement[bool]:
    """Return the condition that a login is neither revoked nor past either lifetime.

    `login` is the model, or the columns of its table.
    """
    return and_(
        login.revoked_at.is_(None),
        login.idle_expires_at > now,
        login.absolute_expires_at > now,
    )
