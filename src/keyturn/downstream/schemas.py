"""What other services send and get, and what a service is called."""

from marshmallow import EXCLUDE, Schema, fields, validate

from keyturn.downstream.models import MAX_NAME
from keyturn.http.schema import UtcTime


class FeedQuerySchema(Schema):
    """From where to read on."""

    since = fields.String(
        validate=validate.Regexp(r"^[0-9]{1,18}$(?!\n)", error="Not a cursor of this feed."),
        metadata={"description": "The `next` of the answer before. Without it: from the start."},
    )


class RevocationSchema(Schema):
    """A login that was ended: access tokens with this `sid` are good no more."""

    sid = fields.UUID(attribute="login_id", required=True)
    at = UtcTime(data_key="revokedAt", required=True)


class FeedSchema(Schema):
    """A part of the feed; ask from `next` on, at once if there was an entry."""

    entries = fields.List(fields.Nested(RevocationSchema), data_key="revocations", required=True)
    position = fields.String(data_key="next", required=True)


class IntrospectedTokenSchema(Schema):
    """A token to look at (RFC 7662 section 2.1). Other fields are left alone."""

    class Meta:
        """RFC 6749 section 3.1: unknown parameters are ignored."""

        unknown = EXCLUDE

    token = fields.String(required=True, validate=validate.Length(min=1))
    token_type_hint = fields.String()


class IntrospectionSchema(Schema):
    """What a token says, if it is active (RFC 7662 section 2.2)."""

    active = fields.Boolean(required=True)
    token_type = fields.String()
    iss = fields.String()
    aud = fields.String()
    sub = fields.String(metadata={"description": "The user's id."})
    sid = fields.String(metadata={"description": "The login's id."})
    jti = fields.String()
    iat = fields.Integer()
    exp = fields.Integer()


class VerifyQuerySchema(Schema):
    """How much to check."""

    live = fields.String(
        validate=validate.OneOf(["1"]),
        metadata={"description": "Ask the database, too, whether the login lives."},
    )


class NewServiceSchema(Schema):
    """A service to be: in its name, nothing needs encoding anywhere."""

    name = fields.String(
        required=True,
        validate=validate.Regexp(
            rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}\Z",
            error=f"Up to {MAX_NAME} letters, digits, dots, dashes and underscores.",
        ),
    )
