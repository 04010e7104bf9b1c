"""Whom hostile tokens are sent to: Keyturn itself, or another service behind the guard."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from jwt.utils import base64url_decode
from werkzeug.test import TestResponse

from keyturn.bearer import Bearer, KeySet, StaticKeys, current_claims, ijson
from tests.support.api import Api, assert_problem
from tests.support.keys import opened_key
from tests.support.tokens import SigningKey, known_key

ISSUER = "https://auth.example.com"
AUDIENCE = "orders"
CHALLENGE = 'Bearer realm="keyturn", error="invalid_token", error_description="Invalid JWT"'


@dataclass(frozen=True)
class Target:
    """A guarded route, the key that opens it, and what a token needs."""

    client: FlaskClient
    path: str
    key: SigningKey
    header: dict[str, Any]
    claims: dict[str, Any]

    def token(self, header: dict[str, Any] | None = None, /, **claims: Any) -> str:
        """A token that is well made but for these header members and claims."""
        return self.key.sign({**self.header, **(header or {})}, {**self.claims, **claims})

    def token_of(self, payload: Any) -> str:
        """A token with another payload, rightly signed."""
        return self.key.sign(self.header, payload)

    def token_under(self, header: Any) -> str:
        """A token with another header, rightly signed."""
        return self.key.sign(header, self.claims)

    def get(self, token: str) -> TestResponse:
        # As a server hands it over, so that the client checks nothing.
        environ = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
        return self.client.get(self.path, environ_overrides=environ)

    def lets_in(self, token: str) -> bool:
        return self.get(token).status_code == 200

    def refuses(self, token: str, code: str = "invalid_token") -> None:
        answer = self.get(token)
        assert answer.status_code == 401, f"{answer.status_code}: {token[:300]}"
        assert_problem(answer, 401, code)
        assert answer.headers["WWW-Authenticate"] == CHALLENGE


def another_service(keys: KeySet, **options: Any) -> Flask:
    """A service that is not Keyturn and knows nothing of it but the guard."""
    app = Flask("orders")
    bearer = Bearer(issuer=ISSUER, audience=AUDIENCE, keys=keys, **options)

    @app.get("/orders")
    @bearer.required
    def orders() -> dict[str, Any]:
        return {"sub": current_claims["sub"]}

    return app


def target(app: Flask, key: SigningKey) -> Target:
    """The route of a service, and what lets in."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(uuid4()), "sid": str(uuid4())}
    return Target(
        app.test_client(),
        "/orders",
        key,
        {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid},
        {**claims, "jti": "1", "iat": now, "exp": now + 900},
    )


def service_target(algorithm: str) -> Target:
    """A service that knows one key, of this algorithm."""
    key = known_key(algorithm)
    return target(another_service(StaticKeys(key.jwks(), algorithms=[algorithm])), key)


def keyturn_target(app: Flask) -> Target:
    """Keyturn itself, with a token of Bob's, and the private key it was signed with."""
    client = app.test_client()
    issued = Api(client).tokens()["accessToken"]
    header, claims = (ijson.parse(base64url_decode(part)) for part in issued.split(".")[:2])
    return Target(client, "/users/me", opened_key(app, header["kid"]), header, claims)
