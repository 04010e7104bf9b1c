"""Users to start with: the tutorial's three, or a file of them."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from keyturn.errors import EmailTakenError, UnknownUserError, ValidationFailedError
from keyturn.http.schema import load
from keyturn.passwords import Passwords
from keyturn.users import accounts
from keyturn.users.schemas import NewUserSchema

DEMO_USERS = (
    {"name": "Bob", "email": "bob@gmail.com", "password": "bobPass"},
    {"name": "John", "email": "john@gmail.com", "password": "johnPass"},
    {"name": "Gary", "email": "gary@gmail.com", "password": "garyPass"},
)


@dataclass(frozen=True)
class Seeded:
    """What became of one user."""

    email: str
    created: bool


def read(path: Path) -> list[dict[str, Any]]:
    """Read users with `name`, `email` and `password` from a JSON array or a CSV with a header.

    All are checked before any is returned. Raises `ValueError` saying where the first fault is.
    """
    entries = _read_csv(path) if path.suffix.lower() == ".csv" else _read_json(path)
    return [_checked(number, entry) for number, entry in enumerate(entries, start=1)]


def _checked(number: int, entry: Any) -> dict[str, Any]:
    try:
        return load(NewUserSchema(), entry)
    except ValidationFailedError as error:
        raise ValueError(f"user {number}: {error.errors}") from error


def _read_json(path: Path) -> list[Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, list):
        raise ValueError("a JSON array of users is needed")  # noqa: TRY004 - a fault of the file
    return document


def _read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def seed(
    session: Session, users: Iterable[dict[str, Any]], *, passwords: Passwords, now: datetime
) -> Iterator[Seeded]:
    """Create the users that are not there yet, one after the other. The others stay as they are."""
    for user in users:
        yield Seeded(user["email"], created=_create_if_absent(session, user, passwords, now))


def _create_if_absent(
    session: Session, user: dict[str, Any], passwords: Passwords, now: datetime
) -> bool:
    try:
        accounts.find(session, user["email"])
    except UnknownUserError:
        password_hash = passwords.hash(user["password"])
    else:
        return False
    try:
        accounts.create(
            session, name=user["name"], email=user["email"], password_hash=password_hash, now=now
        )
    except EmailTakenError:  # by another seed at the same time
        return False
    return True
