"""What other services ask: whether a token is good, and which logins ended."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint

from keyturn import clock
from keyturn.auth import revocations
from keyturn.auth.guard import live_principal, token_required
from keyturn.bearer.errors import RevokedTokenError
from keyturn.downstream import introspection
from keyturn.downstream.guard import service_required
from keyturn.downstream.schemas import (
    FeedQuerySchema,
    FeedSchema,
    IntrospectedTokenSchema,
    IntrospectionSchema,
    VerifyQuerySchema,
)
from keyturn.http.answer import answers, answers_headers, kept_for
from keyturn.http.body import form, query
from keyturn.http.contract import Header, refuses
from keyturn.services import services
from keyturn.tokens.access import AccessClaims

blueprint = Blueprint("services", __name__, url_prefix="/auth")

FEED_KEPT = 2  # seconds

UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
AUTH_USER = Header("X-Auth-User", "The user's id.", pattern=UUID_PATTERN, required=True)
AUTH_SESSION = Header("X-Auth-Session", "The login's id.", pattern=UUID_PATTERN, required=True)


@blueprint.get("/revocations")
@service_required
@kept_for(FEED_KEPT)
@answers(FeedSchema)
@query(FeedQuerySchema)
def list_revocations(query: dict[str, Any]) -> revocations.Page:
    """Tell which logins were ended while an access token of theirs may be in date."""
    settings = services().settings
    return revocations.read(
        int(query["since"]) if "since" in query else None,
        window=timedelta(seconds=settings.access_ttl + settings.leeway),
        now=clock.now(),
    )


@blueprint.post("/introspect")
@service_required
@answers(IntrospectionSchema)
@form(IntrospectedTokenSchema)
def introspect(form: dict[str, Any]) -> Mapping[str, Any]:
    """Tell what an access token says, if it is good and its login lives (RFC 7662)."""
    return introspection.introspect(form["token"], access=services().issuer.access, now=clock.now())


@blueprint.get("/verify")
@token_required
@answers_headers(AUTH_USER, AUTH_SESSION)
@query(VerifyQuerySchema)
@refuses(RevokedTokenError)
def verify(claims: AccessClaims, query: dict[str, Any]) -> tuple[str, str]:
    """Tell a reverse proxy whose token this is, before it lets a request through."""
    if query.get("live"):
        live_principal(claims, clock.now())
    return str(claims.user_id), str(claims.login_id)
