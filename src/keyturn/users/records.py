"""Users as lines of a file, as they are moved between systems: JSON lines or CSV.

A line is a row of the users table. What Keyturn writes, it reads.
"""

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any
from uuid import uuid4

from marshmallow import Schema, ValidationError, fields, validate

from keyturn.bearer import ijson
from keyturn.foreign_hashes import kept_form
from keyturn.http.schema import Text, UtcTime
from keyturn.users.models import User
from keyturn.users.schemas import NAME, Email

# Whatever its zone, such a time can be told in UTC.
_SENSIBLE = validate.Range(
    min=datetime(1970, 1, 1, tzinfo=UTC), max=datetime(9999, 1, 1, tzinfo=UTC)
)


class PasswordHash(fields.String):
    """A password hash of any known format, in the form in which it is kept."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return kept_form(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class RecordSchema(Schema):
    """All that is kept of a user. Without `created_at`, they begin when they are added."""

    id = fields.UUID(load_default=uuid4)
    email = Email(required=True)
    name = Text(required=True, validate=NAME)
    password_hash = PasswordHash(required=True)
    created_at = UtcTime(validate=_SENSIBLE)
    disabled_at = UtcTime(validate=_SENSIBLE, allow_none=True, load_default=None)


@dataclass(frozen=True)
class Line:
    """A line of a file: the user it tells of, or the fault for which it tells of none."""

    number: int
    user: dict[str, Any] | None = None
    fault: str = ""


_RECORD = RecordSchema()
_WITHOUT_HASH = RecordSchema(exclude=["password_hash"])


def read_json_lines(file: IO[bytes]) -> Iterator[Line]:
    """Yield what each line tells that is not blank."""
    for number, text in enumerate(file, start=1):
        if text.strip():
            yield _parsed(number, text)


def _parsed(number: int, text: bytes) -> Line:
    try:
        return _checked(number, ijson.parse(text.removeprefix(codecs.BOM_UTF8)))
    except ValueError:
        return Line(number, fault="Not a JSON text in UTF-8.")


def read_csv(file: IO[bytes]) -> Iterator[Line]:
    """Yield what each row tells; an empty cell tells nothing. A row's number is its last line's.

    Raises `ValueError` if the first line is not a header as it must be.
    """
    rows = csv.DictReader((line.decode("utf-8-sig") for line in file), strict=True)
    try:
        names = rows.fieldnames or ()
    except (csv.Error, UnicodeDecodeError):
        names = ()
    needed = {name for name, field in _RECORD.fields.items() if field.required}
    if len({*names}) < len(names) or not needed <= {*names} <= _RECORD.fields.keys():
        raise ValueError(f"the first line must name the columns, of {', '.join(_RECORD.fields)}")
    return _rows(rows)


def _rows(rows: "csv.DictReader[str]") -> Iterator[Line]:
    try:
        for row in rows:
            yield _checked(rows.line_num, {name: cell for name, cell in row.items() if cell})
    except (csv.Error, UnicodeDecodeError):
        yield Line(rows.line_num + 1, fault="Not CSV in UTF-8: from here on, nothing was read.")


def _checked(number: int, document: Any) -> Line:
    try:
        return Line(number, _RECORD.load(document))
    except ValidationError as error:
        told = (f"{name}: {' '.join(faults)}" for name, faults in error.messages_dict.items())
        return Line(number, fault=" ".join(told))


def json_lines(users: Iterable[User], *, with_hashes: bool) -> Iterator[str]:
    """Yield each user as a line that can be read again, if it has the hash."""
    schema = _RECORD if with_hashes else _WITHOUT_HASH
    for user in users:
        yield json.dumps(schema.dump(user), ensure_ascii=False)
