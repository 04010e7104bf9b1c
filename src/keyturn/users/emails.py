"""The one form of an e-mail address."""

from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

MAX_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets


@lru_cache(maxsize=1024)  # whoever logs in comes back
def normalised(text: str) -> str:
    """Return the form in which an address is kept and looked up: normalised, in small letters.

    Raises `ValueError` with a sentence for people. Nothing is looked up in the DNS. The top level
    domain `.test` of RFC 2606 is let through, for fixtures.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"Longer than maximum length {MAX_LENGTH}.")
    try:
        address = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error
    return address.normalized.lower()
