"""What logging in, refreshing and sessions look like on the wire."""

from typing import Any

from marshmallow import Schema, fields, post_dump, validate

from keyturn.http.schema import ObjectSchema, UtcTime
from keyturn.users.schemas import Email, Password
from keyturn.users.seeds import DEMO_USERS

MAX_TOKEN = 8192
EXAMPLE = DEMO_USERS[0]


class LoginSchema(Schema):
    """Who wants in."""

    email = Email(required=True, metadata={"examples": [EXAMPLE["email"]]})
    password = Password(metadata={"examples": [EXAMPLE["password"]]})
    transport = fields.String(
        validate=validate.OneOf(["json", "cookie"]),
        metadata={
            "description": "How the refresh token comes: `cookie` for web pages, else `json`."
        },
    )


class RefreshTokenSchema(Schema):
    """A refresh token, to be spent or given back."""

    refresh_token = fields.String(
        data_key="refreshToken", required=True, validate=validate.Length(min=1, max=MAX_TOKEN)
    )


class TokensSchema(ObjectSchema):
    """What a login or refresh hands out; `deviceToken` is a login's alone.

    `refreshToken` is left out where none is due.
    """

    access_token = fields.String(
        data_key="accessToken", required=True, metadata={"description": "The bearer token."}
    )
    refresh_token = fields.String(
        data_key="refreshToken", metadata={"description": "Works once: keep the newest."}
    )
    token_type = fields.String(
        data_key="tokenType", required=True, validate=validate.OneOf(["Bearer"])
    )
    expires_in = fields.Integer(
        data_key="expiresIn", required=True, metadata={"description": "Of the access token, in s."}
    )
    refresh_expires_in = fields.Integer(
        data_key="refreshExpiresIn", metadata={"description": "Of the refresh token, in s."}
    )
    device_token = fields.String(
        data_key="deviceToken",
        metadata={"description": "To be kept, and shown as `Device-Token` at the next login."},
    )

    @post_dump
    def leave_out_what_is_not_there(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Drop the members of tokens that are not handed out."""
        return {name: value for name, value in data.items() if value is not None}


class SessionSchema(Schema):
    """A login, as its user sees it."""

    id = fields.UUID(required=True)
    user_agent = fields.String(data_key="userAgent", required=True)
    ip_address = fields.String(data_key="ipAddress", required=True)
    created_at = UtcTime(data_key="createdAt", required=True)
    last_used_at = UtcTime(attribute="rotated_at", data_key="lastUsedAt", required=True)
    expires_at = UtcTime(attribute="idle_expires_at", data_key="expiresAt", required=True)
    current = fields.Boolean(
        required=True, metadata={"description": "Whether it is the login that asks."}
    )


class EndSessionsSchema(Schema):
    """Which sessions to spare."""

    keep = fields.String(
        validate=validate.OneOf(["current"]),
        metadata={"description": "`current` spares the login that asks."},
    )
