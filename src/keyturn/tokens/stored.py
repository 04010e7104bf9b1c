"""The rows of signing_keys, where a key ring has its keys from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from keyturn.audit.actor import KEYTURN, acting
from keyturn.database import db
from keyturn.errors import UnavailableError
from keyturn.single import look_up_all
from keyturn.tokens import key_rotation
from keyturn.tokens.key_rotation import KeyMaker
from keyturn.tokens.models import SigningKey

_ROWS = select(*SigningKey.__table__.c).order_by(SigningKey.number)


class StoredKeys:
    """A `keyturn.tokens.keyring.KeySource` that uses connections of its own."""

    def __init__(self, maker: KeyMaker) -> None:
        self._maker = maker

    def read(self) -> Sequence[Any]:
        """Return all keys in the order they were made. Raises `UnavailableError`."""
        with _asked():
            return look_up_all(_ROWS, {})

    def ensure(self, now: datetime) -> None:
        """Make the first key, or the next if it is due. Raises `UnavailableError`."""
        # Whoever happens to ask for a key just now has not made it.
        with _asked(), acting(KEYTURN), Session(db.engine) as session:
            key_rotation.ensure(session, maker=self._maker, now=now)


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise UnavailableError(retry_after=1) from error
