"""A service that lets in the users of a Keyturn elsewhere, whom it knows by their tokens alone."""

import os
from collections import defaultdict
from typing import Any

from flask import Flask, request

from keyturn.bearer import Bearer, RemoteKeys, RevocationFeed, current_claims

KEYTURN = os.environ["KEYTURN_URL"]

bearer = Bearer(
    issuer=KEYTURN,
    audience="keyturn",
    keys=RemoteKeys(f"{KEYTURN}/.well-known/jwks.json"),
    # Leave this out where a logout may count as late as the token expires.
    revocations=RevocationFeed(
        f"{KEYTURN}/auth/revocations", service_token=os.environ["KEYTURN_SERVICE_TOKEN"]
    ),
)
app = Flask(__name__)
orders: defaultdict[str, list[Any]] = defaultdict(list)  # by user; a real service has a database


@app.get("/orders")
@bearer.required
def list_orders() -> list[Any]:
    return orders[current_claims["sub"]]


@app.post("/orders")
@bearer.required
def order() -> tuple[dict[str, Any], int]:
    orders[current_claims["sub"]].append(request.json)
    return {"ordered": request.json}, 201


@app.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "ok"}
