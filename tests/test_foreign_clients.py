"""Other languages and libraries check our tokens, by what the running service tells them."""

import json
import subprocess
from collections.abc import Callable

import jwt
import pytest
from flask import Flask

from tests.support.keys import forget_keys, verified_by_another
from tests.support.parts import missing, need
from tests.support.server import ROOT, Server, free_port

EXAMPLE = ROOT / "examples" / "node"


@pytest.fixture(params=["ES256", "EdDSA", "RS256"])
def server(
    app: Flask, serve: Callable[..., Server], request: pytest.FixtureRequest
) -> tuple[Server, str, str]:
    """A service that signs with this algorithm, its issuer and the algorithm."""
    forget_keys(app)
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    settings = {"PORT": port, "ISSUER": issuer, "SIGNING_ALGORITHM": request.param}
    return serve(**settings), issuer, request.param


def test_jose_and_joserfc_verify_tokens_of_every_algorithm(
    server: tuple[Server, str, str],
) -> None:
    running, issuer, algorithm = server
    token = running.login()["accessToken"]
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    head, claims, signature = token.split(".")
    forged = ".".join([head, claims, signature[::-1]])

    by_jose, refused = verified_by_jose(issuer, [token, forged])
    jwks = running.request("GET", "/.well-known/jwks.json").json
    by_joserfc = verified_by_another(token, jwks, algorithm)
    assert by_jose == by_joserfc
    assert (by_jose["iss"], by_jose["aud"]) == (issuer, "keyturn")
    assert refused == {"refused": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}


def test_the_readme_shows_the_example_for_node() -> None:
    example = (EXAMPLE / "keyturn.mjs").read_text()
    assert f"```js\n{example}```" in (ROOT / "README.md").read_text()


def verified_by_jose(issuer: str, tokens: list[str]) -> list[dict[str, str]]:
    """What the example for Node says of each token."""
    node = need("node", "nodejs npm")
    if not (EXAMPLE / "node_modules").exists():
        missing("jose: npm ci --prefix examples/node")
    result = subprocess.run(
        [node, str(ROOT / "tests" / "clients" / "verify.mjs"), issuer],
        input="\n".join(tokens),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in result.stdout.splitlines()]
