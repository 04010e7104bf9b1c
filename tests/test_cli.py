"""The flask commands, as an operator types them."""

import json
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, insert

from keyturn.auth.models import RefreshToken
from keyturn.users.models import User
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.console import Run, printed
from tests.support.database import execute, rows

GOOD = "correct horse battery"


def test_create_asks_for_the_password_twice_without_echo(run: Run, api: Api) -> None:
    result = run("users", "create", "Ann@Example.com", "--name", "Ann", stdin=f"{GOOD}\n{GOOD}\n")
    assert result.exit_code == 0
    assert GOOD not in result.output
    assert "ann@example.com" in result.output
    assert api.login({"email": "ann@example.com", "password": GOOD}).status_code == 200


def test_create_reads_the_password_from_standard_input(run: Run, api: Api) -> None:
    created = printed(
        run(
            "users",
            "create",
            "ann@example.com",
            "--name",
            "Ann",
            "--password-stdin",
            "--json",
            stdin=f"{GOOD}\n",
        )
    )
    assert created[0]["email"] == "ann@example.com"
    assert not {"password", "password_hash"} & created[0].keys()
    assert api.login({"email": "ann@example.com", "password": GOOD}).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "stdin", "exit_code", "said"),
    [
        (["create", "BOB@gmail.com", "--name", "B", "--password-stdin"], GOOD, 4, "another user"),
        (["create", "a@example.com", "--name", "A", "--password-stdin"], "short", 5, "15 char"),
        (["create", "nonsense", "--name", "A", "--password-stdin"], GOOD, 2, "@-sign"),
        (["create", "a@example.com", "--name", "\x1b[2J", "--password-stdin"], GOOD, 2, "control"),
        (["create", "a@example.com"], None, 2, "--name"),
        (["show", "nobody@gmail.com"], None, 3, "no such user"),
        (["show", "nonsense"], None, 3, "no such user"),
        (["set-password", "nobody@gmail.com", "--password-stdin"], GOOD, 3, "no such user"),
        (["set-password", BOB["email"], "--password-stdin"], "short", 5, "15 characters"),
        (["set-password", BOB["email"], "--password-stdin"], "bob@gmail.com2024", 5, "the e-mail"),
        (["disable", "nobody@gmail.com"], None, 3, "no such user"),
        (["delete", "nobody@gmail.com", "--yes"], None, 3, "no such user"),
        (["delete", BOB["email"]], "n\n", 1, "Aborted"),
        (["seed", "/no/such/file.json"], None, 2, "does not exist"),
    ],
)
def test_exit_codes_tell_what_went_wrong(
    run: Run, app: Flask, arguments: list[str], stdin: str | None, exit_code: int, said: str
) -> None:
    result = run("users", *arguments, stdin=stdin)
    assert result.exit_code == exit_code, result.output
    assert said in result.output
    assert len(rows(app, User)) == 3


def test_list_is_a_table_for_people_and_json_for_scripts(run: Run) -> None:
    table = run("users", "list").output.splitlines()
    assert table[0].split() == ["id", "email", "name", "created", "disabled"]
    assert len(table) == 2 + 3
    assert {user["name"] for user in printed(run("users", "list", "--json"))} == {
        "Bob",
        "John",
        "Gary",
    }


def test_a_list_is_printed_as_it_is_read(
    run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn.users.accounts.READ_AT_ONCE", 2)
    monkeypatch.setattr("keyturn.console.MEASURED", 1)
    alive: weakref.WeakSet[User] = weakref.WeakSet()
    most = []

    def seen(user: User, _: object) -> None:
        alive.add(user)
        most.append(len(alive))

    execute(app, insert(User).values(_users(20)))
    event.listen(User, "load", seen)
    table = run("users", "list").output.splitlines()
    listed = printed(run("users", "list", "--json"))
    event.remove(User, "load", seen)
    assert len(table) == 2 + 3 + 20
    assert [line.split()[1] for line in table[2:]] == [user["email"] for user in listed]
    assert max(most) < 10


def _users(count: int) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {"email": f"{n}@mail.example", "name": "N", "password_hash": "!", "created_at": now}
        for n in range(count)
    ]


def test_a_table_lets_nobody_steer_the_terminal(run: Run, api: Api) -> None:
    api.tokens(**{"User-Agent": "\x1b[2Jcleared"})
    output = run("sessions", "list").output
    assert "\x1b" not in output
    assert "?[2Jcleared" in output


def test_show_takes_an_email_or_an_id(run: Run, api: Api) -> None:
    api.tokens()
    by_email = printed(run("users", "show", "BOB@gmail.com", "--json"))
    assert by_email[0]["logins"] == 1
    assert printed(run("users", "show", by_email[0]["id"], "--json")) == by_email


def test_set_password_ends_the_users_logins(run: Run, api: Api) -> None:
    bobs, johns = api.tokens(BOB), api.tokens(JOHN)
    result = run("users", "set-password", BOB["email"], "--password-stdin", stdin=GOOD)
    assert (result.exit_code, "logins ended: 1" in result.output) == (0, True)
    assert_problem(api.refresh(bobs["refreshToken"]), 401, "refresh_revoked")
    assert api.me(johns["accessToken"]).status_code == 200
    assert api.login({**BOB, "password": GOOD}).status_code == 200


def test_disable_ends_the_users_logins_and_enable_brings_none_back(run: Run, api: Api) -> None:
    tokens = api.tokens()
    assert "logins ended: 1" in run("users", "disable", BOB["email"]).output
    assert printed(run("users", "show", BOB["email"], "--json"))[0]["disabled"]
    assert_problem(api.me(tokens["accessToken"]), 401, "token_revoked")
    assert run("users", "enable", BOB["email"]).exit_code == 0
    assert_problem(api.me(tokens["accessToken"]), 401, "token_revoked")
    assert_problem(api.refresh(tokens["refreshToken"]), 401, "refresh_revoked")
    assert api.login().status_code == 200


def test_delete_asks_first_and_takes_the_logins_along(run: Run, api: Api, app: Flask) -> None:
    tokens = api.tokens()
    result = run("users", "delete", BOB["email"], stdin="y\n")
    assert result.exit_code == 0
    assert "Delete bob@gmail.com for good?" in result.output
    assert rows(app, RefreshToken) == []
    assert_problem(api.me(tokens["accessToken"]), 401, "token_revoked")
    assert_problem(api.refresh(tokens["refreshToken"]), 401, "refresh_invalid")
    assert_problem(api.login(), 401, "invalid_credentials")


# --- seed -----------------------------------------------------------------------------------------


def test_seed_makes_the_tutorials_three_and_may_run_twice(run: Run, app: Flask) -> None:
    before = {user.id for user in rows(app, User)}
    result = run("users", "seed")
    assert "Created 0, already there 3." in result.output
    execute(app, User.__table__.delete())  # type: ignore[attr-defined] # a Table
    assert "Created 3, already there 0." in run("users", "seed").output
    assert before.isdisjoint({user.id for user in rows(app, User)})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("team.json", '[{"name": "Ann", "email": "ann@example.com", "password": "annPass"}]'),
        ("team.csv", "name,email,password\nAnn,ann@example.com,annPass\n"),
    ],
)
def test_seed_reads_a_file(run: Run, api: Api, tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert "Created 1, already there 0." in run("users", "seed", str(path)).output
    assert "Created 0, already there 1." in run("users", "seed", str(path)).output
    assert api.login({"email": "ann@example.com", "password": "annPass"}).status_code == 200


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("team.json", "{}", "a JSON array of users is needed"),
        ("team.json", "[", "Expecting value"),
        ("team.json", "[1]", "user 1"),
        ("team.json", '[{"name": "A", "email": "a@example.com", "password": "p"}, {}]', "user 2"),
        ("team.csv", "name,email\nAnn,ann@example.com\n", "password"),
        ("team.csv", "name,email,password\nAnn,nonsense,p\n", "@-sign"),
        ("team.csv", "name,email,password\nAnn,ann@example.com,p,extra\n", "user 1"),
        ("team.csv", "\xff\xfe", "user"),
    ],
)
def test_seed_takes_all_of_a_file_or_nothing(
    run: Run, app: Flask, tmp_path: Path, name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    result = run("users", "seed", str(path))
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert len(rows(app, User)) == 3
    if said != "user":
        assert said in result.output


class TestInProduction:
    """Where KEYTURN_ENV says so."""

    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, "KEYTURN_ENV": "production"}

    def test_demo_users_are_refused(self, run: Run) -> None:
        result = run("users", "seed")
        assert result.exit_code == 5
        assert "refused" in result.output

    @pytest.mark.parametrize("weak", ["annPass", "ann@example.com2024"])
    def test_a_file_must_meet_the_password_policy(
        self, run: Run, app: Flask, tmp_path: Path, weak: str
    ) -> None:
        path = tmp_path / "team.json"
        path.write_text(json.dumps([{"name": "Ann", "email": "ann@example.com", "password": weak}]))
        assert run("users", "seed", str(path)).exit_code == 5
        assert len(rows(app, User)) == 3


# --- sessions -------------------------------------------------------------------------------------


def test_sessions_are_listed(run: Run, api: Api) -> None:
    api.tokens(BOB, **{"User-Agent": "phone"})
    api.tokens(JOHN)
    assert len(printed(run("sessions", "list", "--json"))) == 2
    (bobs,) = printed(run("sessions", "list", "--user", BOB["email"], "--json"))
    assert (bobs["user_agent"], bobs["address"], bobs["refreshes"]) == ("phone", "127.0.0.1", 0)
    assert "phone" in run("sessions", "list").output


def test_a_session_is_revoked_by_its_id(run: Run, api: Api) -> None:
    tokens = api.tokens()
    (session,) = printed(run("sessions", "list", "--json"))
    assert run("sessions", "revoke", session["id"]).exit_code == 0
    assert_problem(api.me(tokens["accessToken"]), 401, "token_revoked")
    assert run("sessions", "revoke", session["id"]).exit_code == 3


def test_all_sessions_of_a_user_are_revoked(run: Run, api: Api, app: Flask) -> None:
    first, second, johns = api.tokens(), api.tokens(), api.tokens(JOHN)
    assert "Ended 2 logins." in run("sessions", "revoke", "--user", BOB["email"]).output
    assert api.me(first["accessToken"]).status_code == 401
    assert api.me(second["accessToken"]).status_code == 401
    assert api.me(johns["accessToken"]).status_code == 200
    reasons = {login.revoked_reason for login in rows(app, RefreshToken)}
    assert reasons == {"ended_by_operator", None}


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--user"]])
def test_revoke_says_what_it_needs(run: Run, arguments: list[str]) -> None:
    assert run("sessions", "revoke", *arguments).exit_code == 2


def test_purge_deletes_what_is_long_dead_and_nothing_else(
    run: Run, api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    api.logout(api.tokens()["refreshToken"])
    clock.shift(timedelta(days=20))
    kept = api.tokens()
    clock.shift(timedelta(days=14 + 30 - 20, seconds=1))
    assert run("sessions", "purge").output == "Deleted 1 logins.\n"
    assert len(rows(app, RefreshToken)) == 1
    assert run("sessions", "purge").output == "Deleted 0 logins.\n"
    assert_problem(api.refresh(kept["refreshToken"]), 401, "refresh_expired")


def test_purge_works_in_batches(
    run: Run, api: Api, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn.auth.sessions.PURGE_BATCH", 2)
    for _ in range(5):
        api.tokens()
    clock.shift(timedelta(days=45))
    assert run("sessions", "purge").output == "Deleted 5 logins.\n"


# --- throttle -------------------------------------------------------------------------------------


@pytest.fixture
def _two_wrong_passwords(api: Api, clock: time_machine.Traveller) -> None:
    for _ in range(2):
        api.login({**BOB, "password": "wrong"})


@pytest.mark.usefixtures("_two_wrong_passwords")
def test_spent_budgets_are_listed_the_longest_spent_first(
    run: Run, clock: time_machine.Traveller
) -> None:
    listed = printed(run("throttle", "list", "--json"))
    assert [(one["kind"], one["used"], one["limit"]) for one in listed] == [
        ("account", 2, 50),
        ("address", 2, 100),
        ("all", 2, 5000),
    ]
    assert listed[1]["full"] == (datetime.now(UTC) + timedelta(seconds=72)).isoformat()
    assert {one["next"] for one in listed} == {None}
    assert "account" in run("throttle", "list").output
    clock.shift(37)
    assert [one["used"] for one in printed(run("throttle", "list", "--json"))] == [2, 1]


def test_a_list_tells_when_who_is_refused_may_try_again(
    settings: dict[str, str], request: pytest.FixtureRequest, clock: time_machine.Traveller
) -> None:
    settings["THROTTLE_ACCOUNT"] = "1/3600"
    api, run = request.getfixturevalue("api"), request.getfixturevalue("run")
    api.login({**BOB, "password": "wrong"})
    (spent,) = printed(run("throttle", "list", "--user", BOB["email"], "--json"))
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (spent["next"], spent["full"]) == (in_an_hour, in_an_hour)
    clock.shift(3600)
    assert printed(run("throttle", "list", "--user", BOB["email"], "--json")) == []


@pytest.mark.usefixtures("_two_wrong_passwords")
@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (["--user", "BOB@gmail.com"], ["account"]),
        (["--user", "nobody@gmail.com"], []),
        (["--address", "127.0.0.1"], ["address"]),
        (["--address", "127.0.0.2"], []),
    ],
)
def test_whose_budgets_are_listed_and_cleared_can_be_named(
    run: Run, arguments: list[str], kinds: list[str]
) -> None:
    listed = printed(run("throttle", "list", *arguments, "--json"))
    assert [one["kind"] for one in listed] == kinds
    assert run("throttle", "clear", *arguments).output == f"Filled {len(kinds)} budgets.\n"
    left = [one["kind"] for one in printed(run("throttle", "list", "--json"))]
    assert left == [kind for kind in ("account", "address", "all") if kind not in kinds]


def test_a_cleared_user_may_try_again_on_their_devices_too(
    settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    settings["THROTTLE_ACCOUNT"] = "1/3600"
    api, run = request.getfixturevalue("api"), request.getfixturevalue("run")
    device = {"Device-Token": api.tokens()["deviceToken"]}
    for headers in ({}, device):
        api.login({**BOB, "password": "wrong"}, **headers)
        assert_problem(api.login(BOB, **headers), 429, "too_many_attempts")
    assert "Filled 3 budgets." in run("throttle", "clear", "--user", BOB["email"]).output
    for headers in ({}, device):
        assert api.login(BOB, **headers).status_code == 200


@pytest.mark.usefixtures("_two_wrong_passwords")
def test_all_budgets_are_cleared(run: Run) -> None:
    assert run("throttle", "clear", "--all").output == "Filled 3 budgets.\n"
    assert printed(run("throttle", "list", "--json")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["clear"],
        ["clear", "--all", "--user", BOB["email"]],
        ["clear", "--address", "127.0.0.1", "--user", BOB["email"]],
        ["list", "--address", "127.0.0.1", "--user", BOB["email"]],
        ["clear", "--user", "nonsense"],
        ["clear", "--address", "nonsense"],
    ],
)
def test_throttle_says_what_it_needs(run: Run, arguments: list[str]) -> None:
    assert run("throttle", *arguments).exit_code == 2


@pytest.mark.parametrize("group", ["users", "sessions", "services", "keys", "throttle"])
def test_every_command_teaches(run: Run, app: Flask, group: str) -> None:
    commands = app.cli.commands[group].commands  # type: ignore[attr-defined] # a group
    for name in commands:
        page = run(group, name, "--help").output
        assert "Usage:" in page
        assert commands[name].help
