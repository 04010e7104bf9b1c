"""Other services: the token one asks with, and what it asks."""

import json
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def make_service_token(app: Flask, name: str = "orders") -> str:
    """Make a token as an operator does."""
    result = app.test_cli_runner().invoke(args=["services", "create", name, "--json"])
    assert result.exit_code == 0, result.output
    (made,) = json.loads(result.output)
    return str(made["token"])


class Service:
    """A service that asks about tokens and ended logins."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask_revocations(self, **query: str) -> TestResponse:
        return self._client.get("/auth/revocations", query_string=query, headers=self._headers)

    def feed(self, since: str | None = None) -> dict[str, Any]:
        """One answer of the feed, which must be there."""
        answer = self.ask_revocations(**({} if since is None else {"since": since}))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def revoked(self, since: str | None = None) -> list[str]:
        """The ids of the logins in one answer of the feed."""
        return [entry["sid"] for entry in self.feed(since)["revocations"]]

    def ask_introspect(self, **fields: str) -> TestResponse:
        return self._client.post("/auth/introspect", data=fields, headers=self._headers)

    def introspect(self, token: str) -> dict[str, Any]:
        """What Keyturn says of a token."""
        answer = self.ask_introspect(token=token)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())
