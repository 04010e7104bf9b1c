"""One user's visit to every route of the service, the pages as well; all of it is answered well."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.api import Api
from tests.support.services import Service

Answers = Iterator[TestResponse]

OUTSIDE = "https://localhost"  # cookies are for HTTPS alone
FOR_ALL = (
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/livez",
    "/readyz",
    "/account/style.css",
    "/account/login",
)
BY_API = "correct horse battery staple"  # the passwords that are set, one after the other
BY_PAGE = "tree staple gun"


@dataclass(frozen=True)
class Visitor:
    """Who comes, and deletes the account in the end; and an e-mail that nobody has yet."""

    email: str
    password: str
    free_email: str


@dataclass(frozen=True)
class Visit:
    """What a visitor does. Each method yields its answers, one request at a time."""

    client: FlaskClient
    visitor: Visitor
    service_token: str

    def everywhere(self) -> Answers:
        """Call every route."""
        yield from (self.client.get(path, buffered=True) for path in FOR_ALL)
        yield from self.come_in()
        yield from self.go_out()
        yield from self.ask_as_a_service()
        yield from self.change_password()
        yield from self.use_the_page()
        yield from self.leave_for_good()

    def come_in(self) -> Answers:
        user = {"name": "Ann", "email": self.visitor.free_email, "password": BY_API}
        yield self.client.post("/users", json=user)
        yield (begun := self._log_in())
        yield (refreshed := self._api.refresh(begun.get_json()["refreshToken"]))
        access = refreshed.get_json()["accessToken"]
        yield self._api.me(access)
        yield self._api.send("PATCH", "/users/me", access, {"name": "Ann"})
        yield self._api.get("/auth/verify?live=1", access)
        yield self._api.get("/auth/sessions", access)

    def go_out(self) -> Answers:
        for method in ("DELETE", "POST"):
            yield (begun := self._log_in())
            yield self._api.logout(begun.get_json()["refreshToken"], method)
        for path in ("/auth/sessions/{own}", "/auth/sessions?keep=current"):
            yield (begun := self._log_in())
            access = begun.get_json()["accessToken"]
            yield self._api.send("DELETE", path.format(own=self._own_session(access)), access)

    def ask_as_a_service(self) -> Answers:
        service = Service(self.client, self.service_token)
        yield (begun := self._log_in())
        yield service.ask_introspect(token=begun.get_json()["accessToken"])
        yield service.ask_revocations()

    def change_password(self) -> Answers:
        yield (begun := self._log_in())
        passwords = {"currentPassword": self.visitor.password, "newPassword": BY_API}
        access = begun.get_json()["accessToken"]
        yield self._api.send("PUT", "/users/me/password", access, passwords)

    def use_the_page(self) -> Answers:
        yield self._post("/login", {"email": self.visitor.email, "password": BY_API})
        yield self._get("")
        yield (elsewhere := self._log_in(BY_API))
        session = self._own_session(elsewhere.get_json()["accessToken"])
        yield self._post(f"/sessions/{session}/end")
        yield self._post("/sessions/end-others")
        yield self._get("/password")
        yield self._post("/password", {"current": BY_API, "new": BY_PAGE})
        yield self._post("/logout")

    def leave_for_good(self) -> Answers:
        yield (begun := self._log_in(BY_PAGE))
        access = begun.get_json()["accessToken"]
        yield self._api.send("DELETE", "/users/me", access, {"password": BY_PAGE})

    @property
    def _api(self) -> Api:
        return Api(self.client)

    def _log_in(self, password: str | None = None) -> TestResponse:
        password = password or self.visitor.password
        return self._api.login({"email": self.visitor.email, "password": password})

    def _own_session(self, access: str) -> str:
        (own,) = (one["id"] for one in self._api.sessions(access) if one["current"])
        return str(own)

    def _get(self, path: str) -> TestResponse:
        return self.client.get(f"/account{path}", base_url=OUTSIDE)

    def _post(self, path: str, form: Any = None) -> TestResponse:
        return self.client.post(
            f"/account{path}", data=form or {}, base_url=OUTSIDE, headers={"Origin": OUTSIDE}
        )
