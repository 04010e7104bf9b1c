"""Who I am, and what I may change of it: the /users routes."""

from typing import Any

from flask import Blueprint, request

from keyturn import clock
from keyturn.admission import hashes_a_password
from keyturn.auth import credentials
from keyturn.auth.guard import Principal, bearer_required
from keyturn.database import db
from keyturn.errors import (
    EmailTakenError,
    RegistrationClosedError,
    TooManyAttemptsError,
    UnknownUserError,
    WeakPasswordError,
    WrongPasswordError,
)
from keyturn.http.answer import answers, answers_created, answers_nothing, public
from keyturn.http.body import body
from keyturn.http.contract import refuses
from keyturn.services import services
from keyturn.users import accounts, registration
from keyturn.users.models import User
from keyturn.users.schemas import (
    NewUserSchema,
    PasswordChangeSchema,
    PasswordConfirmationSchema,
    ProfileSchema,
    UserSchema,
)

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.post("")
@public
@answers_created(UserSchema)
@body(NewUserSchema)
@refuses(RegistrationClosedError, EmailTakenError, WeakPasswordError, TooManyAttemptsError)
@hashes_a_password
def register(body: dict[str, Any]) -> User | None:
    """Add oneself as a user; 202 where the answer does not tell whether the e-mail was taken."""
    known = services()
    if known.settings.registration != "open":
        raise RegistrationClosedError
    return registration.register(
        db.session(),
        **body,
        address=request.remote_addr or "",
        private=known.settings.registration_private == "on",
        passwords=known.passwords,
        policy=known.policy,
        budgets=known.budgets,
        now=clock.now(),
    )


@blueprint.get("/me")
@bearer_required
@answers(UserSchema)
def me(principal: Principal) -> Principal:
    """Tell the caller who they are."""
    return principal


@blueprint.patch("/me")
@bearer_required
@answers(UserSchema)
@body(ProfileSchema)
@refuses(UnknownUserError)
def rename(principal: Principal, body: dict[str, Any]) -> User:
    """Change the caller's name."""
    return accounts.rename(db.session(), principal.id, body["name"], now=clock.now())


@blueprint.delete("/me")
@bearer_required
@answers_nothing
@body(PasswordConfirmationSchema)
@refuses(WrongPasswordError, TooManyAttemptsError, UnknownUserError)
@hashes_a_password
def delete_account(principal: Principal, body: dict[str, Any]) -> None:
    """Delete the caller's account with all its logins."""
    known = services()
    credentials.delete_own(
        db.session(),
        user_id=principal.id,
        login_id=principal.login_id,
        password=body["password"],
        passwords=known.passwords,
        budgets=known.budgets,
        now=clock.now(),
    )


@blueprint.put("/me/password")
@bearer_required
@answers_nothing
@body(PasswordChangeSchema)
@refuses(WeakPasswordError, WrongPasswordError, TooManyAttemptsError)
@hashes_a_password
def change_password(principal: Principal, body: dict[str, Any]) -> None:
    """Change the caller's password; every other login of theirs ends."""
    replace_password(principal, current=body["current_password"], new=body["new_password"])


def replace_password(principal: Principal, *, current: str, new: str) -> None:
    """Change the password of whoever sent the request, as `keyturn.auth.credentials` says."""
    known = services()
    credentials.change_password(
        db.session(),
        user_id=principal.id,
        login_id=principal.login_id,
        current=current,
        new=new,
        personal=(principal.email, principal.name),
        passwords=known.passwords,
        budgets=known.budgets,
        policy=known.policy,
        now=clock.now(),
    )
