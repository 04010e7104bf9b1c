"""Signing keys as others see them, and as operators do."""

import warnings
from typing import Any

import jwt
from flask import Flask
from joserfc import jwt as joserfc
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet
from sqlalchemy import delete

from keyturn.services import EXTENSION
from keyturn.tokens.models import SigningKey
from tests.support import tokens
from tests.support.api import Api
from tests.support.console import Run, printed
from tests.support.database import execute, rows


def forget_keys(app: Flask) -> None:
    """As before the first start: the next use makes the first key, at the time of the test."""
    execute(app, delete(SigningKey))


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def signing_kid(api: Api) -> str:
    """The key of a new access token."""
    return kid_of(api.tokens()["accessToken"])


def jwks(api: Api) -> dict[str, Any]:
    response = api.get("/.well-known/jwks.json", None)
    assert response.status_code == 200
    return dict(response.get_json())


def published(api: Api) -> list[str]:
    """The ids of the keys in the JWKS."""
    return [key["kid"] for key in jwks(api)["keys"]]


def states(run: Run) -> list[str]:
    """The states of all keys, oldest first."""
    return [key["state"] for key in printed(run("keys", "list", "--json"))]


def opened_key(app: Flask, kid: str) -> tokens.SigningKey:
    """One of the service's own private keys, for tokens that nobody should get."""
    (row,) = [row for row in rows(app, SigningKey) if row.kid == kid]
    private = app.extensions[EXTENSION].key_maker.vault.open(kid, row.private_key)
    return tokens.key_of(private, row.algorithm, kid)


def verified_by_another(token: str, jwks: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """The claims, as a library reads them that shares no code with ours."""
    key_set = KeySet.import_key_set(jwks)  # type: ignore[arg-type] # a JWK Set, as it came
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # of EdDSA, which has a newer name
        return dict(joserfc.decode(token, key_set, algorithms=[algorithm]).claims)
