"""The signing_keys table: one row is one key pair, from its publication on and for good."""

from datetime import datetime

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from keyturn.database import Base


class SigningKey(Base):
    """A key pair. Its life follows from its times: `keyturn.tokens.lifecycle`.

    `number` is its place in line. Each is the one before plus one, so of two that are made at once
    only one is taken. `public_jwk` is the public key as JSON, `private_key` the private one, sealed
    (`keyturn.tokens.keypairs.Vault`), and erased when it is of no more use.
    """

    __tablename__ = "signing_keys"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(String(43), unique=True)
    algorithm: Mapped[str] = mapped_column(String(16))
    public_jwk: Mapped[str] = mapped_column(Text)
    private_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    published_at: Mapped[datetime]
    signing_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
