"""What others need to check tokens by themselves: the public keys, and where to find them."""

import json
from functools import lru_cache

from flask import Blueprint
from marshmallow import Schema, fields, validate

from keyturn.http.answer import Document, answers_document, public
from keyturn.services import services

blueprint = Blueprint("keys", __name__, url_prefix="/.well-known")


class JwkSchema(Schema):
    """A public key (RFC 7517), with the members that its type has (RFC 7518, RFC 8037)."""

    kty = fields.String(required=True, validate=validate.OneOf(["EC", "OKP", "RSA"]))
    kid = fields.String(required=True, metadata={"description": "The key's thumbprint (RFC 7638)."})
    alg = fields.String(required=True, validate=validate.OneOf(["ES256", "EdDSA", "RS256"]))
    use = fields.String(required=True, validate=validate.OneOf(["sig"]))
    crv = fields.String()
    x = fields.String()
    y = fields.String()
    n = fields.String()
    e = fields.String()


class JwksSchema(Schema):
    """A JWK Set (RFC 7517 section 5)."""

    keys = fields.List(fields.Nested(JwkSchema), required=True)


class MetadataSchema(Schema):
    """What of RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3 is true here."""

    issuer = fields.Url(required=True)
    jwks_uri = fields.Url(required=True)
    introspection_endpoint = fields.Url(required=True)
    introspection_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)
    service_documentation = fields.Url(required=True)
    response_types_supported = fields.List(fields.String(), required=True)
    grant_types_supported = fields.List(fields.String(), required=True)
    subject_types_supported = fields.List(fields.String(), required=True)
    id_token_signing_alg_values_supported = fields.List(
        fields.String(), required=True, metadata={"description": "Of access tokens."}
    )


@blueprint.get("/jwks.json")
@public
@answers_document(JwksSchema)
def jwks() -> Document:
    """Show the public keys; tokens name theirs by `kid`."""
    known = services()
    return Document(known.current_signer().public.document, known.settings.jwks_max_age)


@blueprint.get("/openid-configuration", endpoint="openid_configuration")
@blueprint.get("/oauth-authorization-server", endpoint="oauth_authorization_server")
@public
@answers_document(MetadataSchema)
def metadata() -> Document:
    """Tell who issues tokens, how they are signed, and where the keys are (RFC 8414)."""
    known = services()
    algorithms = known.current_signer().public.algorithms
    return Document(_metadata(known.settings.issuer, algorithms), known.settings.jwks_max_age)


@lru_cache
def _metadata(issuer: str, algorithms: tuple[str, ...]) -> str:
    """Return the one document for both names (RFC 8414 section 5 lets them share members).

    The two empty lists are there although RFC 8414 section 3.2 drops empty lists: the first is
    required, and without the second its default would promise grants that are not offered.
    """
    root = issuer.rstrip("/")
    return json.dumps(
        {
            "issuer": issuer,
            "jwks_uri": f"{root}/.well-known/jwks.json",
            "introspection_endpoint": f"{root}/auth/introspect",
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "Bearer"],
            "service_documentation": f"{root}/docs",
            "response_types_supported": [],
            "grant_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        }
    )
