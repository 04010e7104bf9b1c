"""The API in the words of its users, over Flask's test client."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

BOB = {"email": "bob@gmail.com", "password": "bobPass"}
JOHN = {"email": "john@gmail.com", "password": "johnPass"}


class Api:
    """Calls routes; every method returns the response as it came."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def login(self, user: dict[str, str] = BOB, /, **headers: str) -> TestResponse:
        return self.client.post("/auth/login", json=user, headers=headers)

    def tokens(self, user: dict[str, str] = BOB, /, **headers: str) -> dict[str, Any]:
        """Log in, which must work, and return the tokens."""
        response = self.login(user, **headers)
        assert response.status_code == 200, response.text
        return dict(response.get_json())

    def refresh(self, token: str, key: str | None = None, **headers: str) -> TestResponse:
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.post("/auth/refresh", json={"refreshToken": token}, headers=headers)

    def logout(self, token: str, method: str = "DELETE") -> TestResponse:
        return self.client.open("/auth/logout", method=method, json={"refreshToken": token})

    def me(self, access_token: str | None) -> TestResponse:
        return self.get("/users/me", access_token)

    def sessions(self, access_token: str) -> list[dict[str, Any]]:
        return list(self.get("/auth/sessions", access_token).get_json())

    def get(self, path: str, access_token: str | None) -> TestResponse:
        return self.send("GET", path, access_token)

    def send(
        self, method: str, path: str, access_token: str | None, json: Any = None
    ) -> TestResponse:
        headers = {} if access_token is None else {"Authorization": f"Bearer {access_token}"}
        return self.client.open(path, method=method, json=json, headers=headers)


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The one shape of all errors (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = response.get_json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"urn:keyturn:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="keyturn"')
    return problem
