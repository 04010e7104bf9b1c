"""The service as it is deployed: real gunicorn, several workers, a SQLite file."""

from collections.abc import Callable

from tests.support.server import Server


def test_the_whole_flow_over_gunicorn(serve: Callable[..., Server]) -> None:
    server = serve(WEB_CONCURRENCY=2)
    tokens = server.login()
    refreshed = server.request("POST", "/auth/refresh", {"refreshToken": tokens["refreshToken"]})
    assert refreshed.status == 200
    bearer = {"Authorization": f"Bearer {refreshed.json['accessToken']}"}
    assert server.request("GET", "/users/me", headers=bearer).json["name"] == "Bob"
    logout = {"refreshToken": refreshed.json["refreshToken"]}
    assert server.request("DELETE", "/auth/logout", logout).status == 204
    assert server.request("GET", "/users/me", headers=bearer).status == 401
