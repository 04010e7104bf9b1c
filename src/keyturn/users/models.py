"""The users table."""

from datetime import datetime
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from keyturn.database import Base


class User(Base):
    """A person who can log in. Ids are random and never start over."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


USERS = cast("Table", User.__table__)
