"""What the page's forms send. Their fields are named as browsers' password managers know them."""

from marshmallow import Schema

from keyturn.users.schemas import Email, Password


class SignInForm(Schema):
    """Who wants in."""

    email = Email(required=True)
    password = Password()


class PasswordForm(Schema):
    """A new password, and the current one as proof."""

    current = Password()
    new = Password()
