"""What every schema shares: how it is loaded, and the types of its fields."""

import re
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields

from keyturn.errors import ValidationFailedError


def load(schema: Schema, document: Any, *, partial: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a document as its schema reads it, `partial` fields excused.

    Raises `ValidationFailedError` with the faults by field.
    """
    try:
        loaded: dict[str, Any] = schema.load(document, partial=partial)
    except ValidationError as error:
        faults = error.normalized_messages()  # type: ignore[no-untyped-call] # marshmallow's
        raise ValidationFailedError(errors=faults) from error
    return loaded


class ObjectSchema(Schema):
    """A schema that dumps objects which have all its attributes: a value is looked for once."""

    def get_attribute(self, obj: object, attr: str, default: object) -> Any:  # noqa: ARG002 - marshmallow's signature
        """Return the value that a field dumps. Raises `AttributeError`."""
        return getattr(obj, attr)


class ProblemSchema(Schema):
    """An error (RFC 9457)."""

    type = fields.String(required=True, metadata={"format": "uri"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "The stable word to branch on."})
    errors = fields.Dict(
        values=fields.List(fields.String()), metadata={"description": "The faults by field."}
    )
    reason = fields.String(metadata={"description": "The stable word for which of several rules."})

    class Meta:
        """RFC 9457 section 3.2: more members may come."""

        unknown = INCLUDE


class Text(fields.String):
    """A string in which nothing is hidden: control characters and NUL are refused."""

    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"  # Unicode's Cc, in the spelling of JSON Schema

    default_error_messages = {"control": "Contains a control character."}  # noqa: RUF012 - marshmallow's own form

    def __init__(self, *, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(metadata={"pattern": self.pattern, **(metadata or {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if re.fullmatch(self.pattern, text) is None:
            raise self.make_error("control")
        return text


class UtcTime(fields.AwareDateTime):
    """RFC 3339 in UTC, with the `Z` that says so."""

    def _serialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        return None if value is None else value.isoformat().replace("+00:00", "Z")
