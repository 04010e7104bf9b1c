"""The spent_budgets table: one row is one budget that is not full."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from keyturn.database import Base


class SpentBudget(Base):
    """A budget that attempts were taken from. A row whose `full_at` is past says nothing.

    `full_at`, `claimed_at` (when it was taken from last), `cost` (of one attempt) and `size` (of a
    full budget) are microseconds, the times since 1970: numbers, which every database adds alike.
    """

    __tablename__ = "spent_budgets"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    full_at: Mapped[int] = mapped_column(BigInteger, index=True)
    claimed_at: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
