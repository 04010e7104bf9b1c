"""The service_tokens table."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from keyturn.database import Base

MAX_NAME = 64


class ServiceToken(Base):
    """That a service of this name may ask. Its token is stored as a digest only."""

    __tablename__ = "service_tokens"

    name: Mapped[str] = mapped_column(String(MAX_NAME), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
