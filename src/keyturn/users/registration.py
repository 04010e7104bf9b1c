"""Registering: people add themselves."""

from datetime import datetime

from sqlalchemy.orm import Session

from keyturn import notes
from keyturn.errors import EmailTakenError
from keyturn.passwords import Passwords
from keyturn.policy import PasswordPolicy
from keyturn.throttle import attempts
from keyturn.throttle.budgets import Budgets
from keyturn.users import accounts
from keyturn.users.models import User


@notes.event("register")
def register(
    session: Session,
    *,
    name: str,
    email: str,
    password: str,
    address: str,
    private: bool,
    passwords: Passwords,
    policy: PasswordPolicy,
    budgets: Budgets,
    now: datetime,
) -> User | None:
    """Add whoever asks for it as a user. `email` is in its one form.

    What is `private` returns None, whether the e-mail is taken or not, after the same work. The
    attempt is never given back: it bounds the e-mails one asks about, and the users one makes.
    Raises `WeakPasswordError`, `TooManyAttemptsError` and, if not private, `EmailTakenError`.
    """
    policy.check(password, email, name)
    with attempts.claimed(budgets.of_stranger(address), now=now):
        password_hash = passwords.hash(password)
    try:
        user = accounts.create(
            session, name=name, email=email, password_hash=password_hash, now=now
        )
    except EmailTakenError:
        if private:
            return None
        raise
    return None if private else user
