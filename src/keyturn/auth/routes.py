"""Log in, stay in, log out: the /auth routes."""

import re
from typing import Any
from uuid import UUID

from flask import Blueprint, request

from keyturn import clock
from keyturn.admission import hashes_a_password
from keyturn.audit import actor
from keyturn.auth import login, rotation, sessions
from keyturn.auth.guard import Principal, bearer_required
from keyturn.auth.judgement import REFUSALS
from keyturn.auth.schemas import (
    EndSessionsSchema,
    LoginSchema,
    SessionSchema,
    TokensSchema,
)
from keyturn.auth.tokens import Client, IssuedTokens
from keyturn.auth.transport import TRANSPORTS, Transport, hands_out_cookies, takes_refresh_token
from keyturn.database import db
from keyturn.errors import (
    InvalidCredentialsError,
    InvalidHeaderError,
    MissingRefreshTokenError,
    TooManyAttemptsError,
    UnknownLoginError,
)
from keyturn.http.answer import answers, answers_nothing, public
from keyturn.http.body import body, query
from keyturn.http.contract import Header, reads, refuses
from keyturn.services import services

blueprint = Blueprint("auth", __name__, url_prefix="/auth")

IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "Made up by the client and kept until it has the answer: a repeated request with the same key "
    "gets the same answer, whenever it comes.",
    pattern="^[!-~]{1,255}$",
)


@blueprint.post("/login")
@public
@answers(TokensSchema)
@body(LoginSchema)
@hands_out_cookies
@refuses(InvalidCredentialsError, TooManyAttemptsError)
@hashes_a_password
def log_in(body: dict[str, Any]) -> IssuedTokens:
    """Exchange an e-mail and a password for tokens."""
    transport = TRANSPORTS[body.pop("transport", "json")]
    return begin_login(transport, **body)


def begin_login(transport: Transport, *, email: str, password: str) -> IssuedTokens:
    """Begin a login for whoever sent the request, as `keyturn.auth.login` says.

    Returns what the transport leaves for the JSON.
    """
    known = services()
    tokens = login.log_in(
        db.session,
        email=email,
        password=password,
        replaces=transport.held(),
        client=client(),
        device_token=transport.device(),
        passwords=known.passwords,
        budgets=known.budgets,
        issuer=known.issuer,
        lifetimes=known.lifetimes,
        retention=known.retention,
        audit_retention=known.audit_retention,
        now=clock.now(),
    )
    return transport.hand_out(tokens)


@blueprint.post("/refresh")
@public
@answers(TokensSchema)
@takes_refresh_token
@reads(IDEMPOTENCY_KEY)
@refuses(MissingRefreshTokenError, *REFUSALS.values(), InvalidHeaderError)
def refresh(token: str | None, transport: Transport) -> IssuedTokens:
    """Spend a refresh token for new tokens."""
    if token is None:
        raise MissingRefreshTokenError
    known = services()
    tokens = rotation.refresh(
        db.session,
        token=token,
        retry_key=idempotency_key(),
        client=client(),
        issuer=known.issuer,
        lifetimes=known.lifetimes,
        now=clock.now(),
    )
    return transport.hand_out(tokens)


@blueprint.route("/logout", methods=["DELETE", "POST"])
@public
@answers_nothing
@takes_refresh_token
def log_out(token: str | None, transport: Transport) -> None:
    """End the login of a refresh token."""
    if token is not None:
        sessions.log_out(db.session(), token=token, issuer=services().issuer, now=clock.now())
    transport.take_back()


@blueprint.get("/sessions")
@bearer_required
@answers(SessionSchema, many=True)
def list_sessions(principal: Principal) -> list[dict[str, Any]]:
    """Show where the caller is logged in."""
    live = sessions.list_live(db.session(), principal.id, clock.now())
    return [{**vars(login), "current": login.id == principal.login_id} for login in live]


@blueprint.delete("/sessions/<uuid:session_id>")
@bearer_required
@answers_nothing
@refuses(UnknownLoginError)
def end_session(principal: Principal, session_id: UUID) -> None:
    """End one login of the caller's own."""
    sessions.end(db.session(), session_id, owner=principal.id, now=clock.now())


@blueprint.delete("/sessions")
@bearer_required
@answers_nothing
@query(EndSessionsSchema)
def end_sessions(principal: Principal, query: dict[str, Any]) -> None:
    """Log the caller out everywhere, or everywhere else."""
    keep = principal.login_id if query.get("keep") else None
    sessions.end_all(db.session(), principal.id, keep=keep, now=clock.now())


def client() -> Client:
    """Return where the request comes from, as far as the configured proxies are believed."""
    acting = actor.current()
    return Client(acting.user_agent or "", acting.ip_address or "")


def idempotency_key() -> str | None:
    """Return the Idempotency-Key, visible ASCII. Raises `InvalidHeaderError`."""
    key = request.headers.get(IDEMPOTENCY_KEY.name)
    if key is not None and re.fullmatch(IDEMPOTENCY_KEY.pattern, key) is None:
        raise InvalidHeaderError("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return key
