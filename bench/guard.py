"""What a guarded request costs with a key pair, against a shared secret: `python -m bench.guard`.

A service of one view, behind `keyturn.bearer`, called as gunicorn calls it and without a network.
The kinds of keys take turns, so that whatever else the machine does meets all alike. Each request
shows a token of its own, but for "shown again": that is ES256 with one token, as clients do it.
"""

import base64
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import jwt
from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bench.service import show
from keyturn.bearer import Bearer, StaticKeys, current_claims
from keyturn.tokens.keypairs import KeyPair

ROUNDS = 40
REQUESTS = 200  # of each kind and round

NOW = int(time.time())
ISSUER, AUDIENCE = "https://auth.example.com", "orders"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "6de272ba-855a-4707-b699-4da1c2b74881",
    "sid": "2048a696-347e-44df-8055-e8d33d367f35",
    "jti": "2EJjp0P9PysRS3APndUGSQ",
    "iat": NOW,
    "exp": NOW + 3600,
}


@dataclass(frozen=True)
class Kind:
    """A service that knows one key, and how a token is made that it lets in."""

    name: str
    app: Flask
    token: Callable[[], str]


def main() -> None:
    """Compare the kinds of keys."""
    kinds = [_kind(*_shared_secret()), *(_kind(*_key_pair(name)) for name in ALGORITHMS)]
    kinds.append(_shown_again(kinds[1]))
    times: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind in kinds:
            times[kind.name].append(_microseconds(kind))
    base = median(times[kinds[0].name])
    show(
        [
            {
                "key": name,
                "µs a request": f"{median(taken):.1f}",
                "of HS256": f"{median(taken) / base:.2f}",
            }
            for name, taken in times.items()
        ]
    )


ALGORITHMS = ("ES256", "EdDSA", "RS256")


def _shared_secret() -> tuple[str, Any, dict[str, Any]]:
    secret = os.urandom(48)
    k = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return "HS256", secret, {"kty": "oct", "k": k, "kid": "secret", "alg": "HS256"}


def _key_pair(algorithm: str) -> tuple[str, Any, dict[str, Any]]:
    pair = KeyPair.generate(algorithm)
    return algorithm, pair.private, {**pair.public, "kid": pair.kid, "alg": algorithm}


def _kind(algorithm: str, private: Any, public: dict[str, Any]) -> Kind:
    keys = StaticKeys({"keys": [public]}, algorithms=[algorithm])
    bearer = Bearer(issuer=ISSUER, audience=AUDIENCE, keys=keys)
    headers = {"typ": "at+jwt", "kid": public["kid"]}

    def token() -> str:
        claims = {**CLAIMS, "jti": secrets.token_urlsafe(16)}
        return jwt.encode(claims, private, algorithm=algorithm, headers=headers)

    return Kind(algorithm, _service(bearer), token)


def _shown_again(kind: Kind) -> Kind:
    token = kind.token()
    return Kind("ES256, shown again", kind.app, lambda: token)


def _service(bearer: Bearer) -> Flask:
    app = Flask("orders")

    @app.get("/orders")
    @bearer.required
    def orders() -> dict[str, Any]:
        return {"sub": current_claims["sub"]}

    return app


def _microseconds(kind: Kind) -> float:
    environs = [_environ(kind.token()) for _ in range(REQUESTS)]
    began = time.perf_counter()
    answers = [run_wsgi_app(kind.app.wsgi_app, environ, buffered=True) for environ in environs]
    taken = time.perf_counter() - began
    # A measurement of refusals would be none.
    assert all(answer[1].startswith("200") for answer in answers)  # noqa: S101
    return taken / REQUESTS * 1e6


def _environ(token: str) -> dict[str, Any]:
    headers = Headers({"Authorization": f"Bearer {token}"})
    return EnvironBuilder(path="/orders", headers=headers).get_environ()


if __name__ == "__main__":
    main()
