"""What a guarded request costs with a key pair, against a shared secret: `python -m bench.guard`.

A service of one view, behind `keyturn.bearer`, called as gunicorn calls it and without a network.
The kinds of keys take turns, so that whatever else the machine does meets all alike. "Remembered"
is the same request where the signature is not checked again: what a memory of verified tokens could
save at most.
"""

import base64
import os
import time
from collections.abc import Mapping
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
    """A service that knows one key, and a token it lets in."""

    name: str
    app: Flask
    token: str


def main() -> None:
    """Compare the kinds of keys."""
    kinds = [_kind(*_shared_secret()), *(_kind(*_key_pair(name)) for name in ALGORITHMS)]
    kinds.append(_remembered(kinds[0]))
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
    token = jwt.encode(CLAIMS, private, algorithm=algorithm, headers=headers)
    return Kind(algorithm, _service(bearer), token)


def _remembered(kind: Kind) -> Kind:
    class Remembering(Bearer):
        def verify(self, token: str) -> Mapping[str, Any]:  # noqa: ARG002 - as it is called
            return CLAIMS

    keys = StaticKeys({"keys": [_shared_secret()[2]]}, algorithms=["HS256"])
    bearer = Remembering(issuer=ISSUER, audience=AUDIENCE, keys=keys)
    return Kind("remembered", _service(bearer), kind.token)


def _service(bearer: Bearer) -> Flask:
    app = Flask("orders")

    @app.get("/orders")
    @bearer.required
    def orders() -> dict[str, Any]:
        return {"sub": current_claims["sub"]}

    return app


def _microseconds(kind: Kind) -> float:
    headers = Headers({"Authorization": f"Bearer {kind.token}"})
    environ = EnvironBuilder(path="/orders", headers=headers).get_environ()

    def ask() -> Any:
        return run_wsgi_app(kind.app.wsgi_app, dict(environ), buffered=True)

    assert ask()[1].startswith("200")  # noqa: S101 - a measurement of refusals would be none
    began = time.perf_counter()
    for _ in range(REQUESTS):
        ask()
    return (time.perf_counter() - began) / REQUESTS * 1e6


if __name__ == "__main__":
    main()
