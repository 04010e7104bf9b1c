"""What users look like on the wire."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from keyturn.http.schema import ObjectSchema, Text, UtcTime
from keyturn.passwords import MAX_LENGTH as MAX_PASSWORD
from keyturn.users import emails

NAME = validate.Length(min=1, max=200)


class Email(fields.String):
    """An e-mail address, in its one form."""

    def __init__(self, *, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        known = {"format": "email", "maxLength": emails.MAX_LENGTH}
        super().__init__(metadata=known | (metadata or {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return emails.normalised(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class Password(fields.String):
    """A password as typed: never dumped, bounded so that a long one costs nothing."""

    def __init__(self, *, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(
            required=True,
            load_only=True,
            validate=validate.Length(min=1, max=MAX_PASSWORD),
            metadata={"format": "password"} | (metadata or {}),
            **kwargs,
        )


class UserSchema(ObjectSchema):
    """A user, as they see themselves."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    email = fields.String(required=True, metadata={"format": "email"})
    created_at = UtcTime(data_key="createdAt", required=True)


class ProfileSchema(Schema):
    """What a user may change of themselves."""

    name = Text(required=True, validate=NAME)


class NewUserSchema(Schema):
    """A user to be: by themselves, or from a command line or a file."""

    email = Email(required=True)
    name = Text(required=True, validate=NAME)
    password = Password()


class PasswordConfirmationSchema(Schema):
    """The password, to confirm what cannot be undone."""

    password = Password()


class PasswordChangeSchema(Schema):
    """A new password, confirmed by the current one."""

    current_password = Password(data_key="currentPassword")
    new_password = Password(
        data_key="newPassword", metadata={"examples": ["correct horse battery staple"]}
    )
