"""What Keyturn signs is what PyJWT signs."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from keyturn.tokens.signing import signed

CLAIMS = {"iss": "https://café.example", "aud": "a", "sid": "b-c", "iat": 1, "exp": 2**40}
KEYS: dict[str, Any] = {
    "HS256": b"kT7vQx2LrN9sYbE4wZjH6mUcFpGaDtRo",
    "RS256": rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
}


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("typ", ["at+jwt", "rt+jwt"])
def test_a_token_is_pyjwts(algorithm: str, typ: str) -> None:
    key = KEYS[algorithm]
    ours = signed(CLAIMS, typ=typ, kid="1", algorithm=algorithm, key=key)
    usual = jwt.encode(CLAIMS, key, algorithm, headers={"typ": typ, "kid": "1"})
    comparable = 2 if algorithm == "ES256" else 3  # each signature of ES256 is another
    assert ours.split(".")[:comparable] == usual.split(".")[:comparable]


def test_a_signature_that_is_another_each_time_holds() -> None:
    token = signed(CLAIMS, typ="at+jwt", kid="1", algorithm="ES256", key=KEYS["ES256"])
    public = KEYS["ES256"].public_key()
    assert jwt.decode(token, public, ["ES256"], audience="a") == CLAIMS
