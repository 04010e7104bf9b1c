"""What schemathesis has to know of the service besides its document."""

import schemathesis
from hypothesis import strategies as st

from keyturn.users import emails


def _is_email(text: str) -> bool:
    try:
        emails.normalised(text)
    except ValueError:
        return False
    return True


# JSON Schema's `email` is RFC 5321's; addresses in domains that no mail reaches are not taken.
schemathesis.openapi.format("email", st.emails().filter(_is_email))
