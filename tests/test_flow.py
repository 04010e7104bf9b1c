"""The tutorial's flow: log in, who am I, refresh, log out; and its flaws, each mended."""

from tests.support.api import BOB, JOHN, Api, assert_problem


def test_log_in_answers_a_pair_of_tokens(api: Api) -> None:
    response = api.login()
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    tokens = response.get_json()
    assert tokens.keys() == {
        "accessToken",
        "refreshToken",
        "tokenType",
        "expiresIn",
        "refreshExpiresIn",
        "deviceToken",
    }
    assert (tokens["tokenType"], tokens["expiresIn"]) == ("Bearer", 900)


def test_me_never_shows_the_password(api: Api) -> None:
    me = api.me(api.tokens()["accessToken"]).get_json()
    assert me.keys() == {"id", "name", "email", "createdAt"}
    assert (me["name"], me["email"]) == ("Bob", BOB["email"])


def test_one_logout_does_not_log_everyone_out(api: Api) -> None:
    bob, john = api.tokens(BOB), api.tokens(JOHN)
    assert api.logout(bob["refreshToken"]).status_code == 204
    assert_problem(api.me(bob["accessToken"]), 401, "token_revoked")
    assert api.me(john["accessToken"]).status_code == 200
