"""The /account page: plain forms, no script. What it does are the use cases of the API."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import (
    Blueprint,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)

from keyturn import clock, notes
from keyturn.account.devices import device_of
from keyturn.account.guard import TRANSPORT, visitor_required
from keyturn.account.schemas import PasswordForm, SignInForm
from keyturn.admission import hashes_a_password
from keyturn.auth import sessions
from keyturn.auth.guard import Principal
from keyturn.auth.routes import begin_login
from keyturn.bearer.errors import BearerError
from keyturn.database import db
from keyturn.errors import (
    KeyturnError,
    MissingRefreshTokenError,
    UnauthenticatedError,
    ValidationFailedError,
)
from keyturn.http import cookies
from keyturn.http.answer import public
from keyturn.http.body import form
from keyturn.http.contract import promise
from keyturn.http.csrf import check_origin
from keyturn.origin import origin_of
from keyturn.services import services
from keyturn.users.routes import replace_password

blueprint = Blueprint("account", __name__, url_prefix="/account", template_folder="templates")

_ASSETS = Path(__file__).with_name("assets")

# Nothing but its own style sheet; and a form goes nowhere else.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

# What was done, told on the page that a form leads to.
_DONE = {
    "ended": "The device is signed out.",
    "others-ended": "All other devices are signed out.",
    "password": "Your password is changed, and all other devices are signed out.",
}

# The view whose form was refused shows it again, with what was wrong.
_FORMS = {
    "account.sign_in": "account/sign_in.html",
    "account.change_password": "account/password.html",
}


def own_page(view: Callable[..., Any]) -> Callable[..., Any]:
    """Say that a view is for people, no part of the API, and takes forms of its own page alone.

    Raises `OriginNotAllowedError` for a form that another page sent: the cookie is `SameSite`, and
    this keeps neighbours of the same site out as well.
    """

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if request.method == "POST":
            own = origin_of(services().settings.issuer)
            check_origin(frozenset(filter(None, (own,))))
        return view(*args, **kwargs)

    return promise(checked, is_api=False)


@blueprint.get("")
@own_page
@visitor_required
def overview(principal: Principal) -> str:
    """Show where the visitor is logged in."""
    live = sessions.list_live(db.session(), principal.id, clock.now())
    return render_template(
        "account/overview.html",
        principal=principal,
        current=[login for login in live if login.id == principal.login_id],
        others=[login for login in live if login.id != principal.login_id],
        done=_DONE.get(request.args.get("done", "")),
        device_of=device_of,
    )


@blueprint.get("/login")
@own_page
@public
def to_overview() -> Any:
    """Lead whoever reloads a refused sign-in to the form."""
    return _lead_to_overview()


@blueprint.post("/login")
@own_page
@public
@form(SignInForm)
@hashes_a_password
def sign_in(form: dict[str, Any]) -> Any:
    """Begin a login, as the API does."""
    begin_login(TRANSPORT, **form)
    return _lead_to_overview()


@blueprint.post("/logout")
@own_page
@public
def sign_out() -> Any:
    """End the login of this browser."""
    token = cookies.ACCOUNT.sent()
    if token is not None:
        sessions.log_out(db.session(), token=token, issuer=services().issuer, now=clock.now())
    TRANSPORT.take_back()
    return _page("account/sign_in.html", done="You are signed out.")


@blueprint.post("/sessions/<uuid:session_id>/end")
@own_page
@visitor_required
def end_session(principal: Principal, session_id: UUID) -> Any:
    """End one login of the visitor's."""
    sessions.end(db.session(), session_id, owner=principal.id, now=clock.now())
    return _lead_to_overview(done="ended")


@blueprint.post("/sessions/end-others")
@own_page
@visitor_required
def end_others(principal: Principal) -> Any:
    """End all logins of the visitor's but this one."""
    sessions.end_all(db.session(), principal.id, keep=principal.login_id, now=clock.now())
    return _lead_to_overview(done="others-ended")


@blueprint.get("/password")
@own_page
@visitor_required
def password(principal: Principal) -> str:
    """Show the form for another password."""
    return render_template("account/password.html", principal=principal)


@blueprint.post("/password")
@own_page
@visitor_required
@form(PasswordForm)
@hashes_a_password
def change_password(principal: Principal, form: dict[str, Any]) -> Any:
    """Change the visitor's password; every other login of theirs ends."""
    replace_password(principal, **form)
    return _lead_to_overview(done="password")


@blueprint.get("/style.css")
@own_page
@public
def style() -> Response:
    """Get the looks of the page."""
    return send_from_directory(_ASSETS, "style.css", max_age=3600)


@blueprint.after_request
def protect(response: Response) -> Response:
    """Keep the page from doing anything but what it is for."""
    response.headers["Content-Security-Policy"] = _POLICY
    # Not `no-referrer`: browsers would then send `Origin: null` with its forms.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@blueprint.errorhandler(KeyturnError)
def refused(error: KeyturnError) -> Response:
    """Tell a person what was refused, with its status."""
    notes.add(code=error.code)
    headers = {}
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = error.challenge
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    response = _page(_template_for(error), error.status, error=_in_words(error))
    response.headers.update(headers)
    return response


@blueprint.errorhandler(BearerError)
def ended_meanwhile(error: BearerError) -> Response:
    """Show the sign-in form where a login ended while it was asked for."""
    notes.add(code=error.code)
    response = _page("account/sign_in.html", error.status, error="Your login has ended.")
    response.headers.update(error.headers())
    return response


def _template_for(error: KeyturnError) -> str:
    if isinstance(error, UnauthenticatedError):
        return "account/sign_in.html"
    return _FORMS.get(request.endpoint or "", "account/refused.html")


def _in_words(error: KeyturnError) -> str | None:
    if isinstance(error, MissingRefreshTokenError):
        return None  # nobody has signed in yet: no error to a person
    if isinstance(error, ValidationFailedError):
        return "Fill in every field; an e-mail address looks like ann@example.com."
    if isinstance(error, UnauthenticatedError) and request.endpoint != "account.sign_in":
        return "Your login has ended. Sign in again."
    return str(error)


def _page(template: str, status: int = 200, **values: Any) -> Response:
    return current_app.response_class(render_template(template, **values), status=status)


def _lead_to_overview(done: str | None = None) -> Any:
    return redirect(url_for("account.overview", done=done), 303)
