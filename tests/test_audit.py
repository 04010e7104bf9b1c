"""The audit trail: what it tells, when it is silent, and that it never lies."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError

from keyturn.audit import trail
from keyturn.audit.models import AuditEvent, Kind
from keyturn.auth import revocations
from keyturn.auth.models import RefreshToken
from keyturn.database import db, transaction
from keyturn.users.models import User
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.console import Run, printed
from tests.support.database import execute, rows, statements
from tests.support.server import ROOT

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7"}


def told(app: Flask, *, since: int = 0) -> Sequence[AuditEvent]:
    """All entries but those of the template database, in their order."""
    seeded = {"user_created", "key_created"}
    entries = sorted(rows(app, AuditEvent), key=lambda entry: entry.id)
    return [entry for entry in entries if entry.kind not in seeded][since:]


def kinds(app: Flask) -> list[str]:
    return [f"{one.kind} {one.reason}" if one.reason else one.kind for one in told(app)]


def refresh_from_elsewhere(api: Api, token: str) -> Any:
    body = {"refreshToken": token}
    agent = {"User-Agent": "thief/1.0"}
    return api.client.post("/auth/refresh", json=body, headers=agent, environ_base=ELSEWHERE)


def test_a_login_and_its_logout_are_told(
    app: Flask, api: Api, clock: time_machine.Traveller
) -> None:
    token = api.tokens(**{"User-Agent": "phone"})["refreshToken"]
    api.logout(token)
    (login,) = rows(app, RefreshToken)
    began, ended = told(app)
    assert (began.kind, ended.kind, ended.reason) == ("login", "login_ended", "logout")
    assert (began.at, began.user_id, began.login_id) == (
        datetime.now(UTC),
        login.user_id,
        login.id,
    )
    assert (began.ip_address, began.user_agent, began.operator) == ("127.0.0.1", "phone", None)
    assert (ended.login_id, ended.user_id) == (login.id, login.user_id)


def test_a_refresh_as_usual_changes_one_row_and_makes_no_entry(
    app: Flask, api: Api, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    before = len(told(app))
    with statements(app) as sent:
        api.refresh(token)
    assert [one.split()[0] for one in sent] == ["SELECT", "UPDATE"]
    assert len(told(app)) == before


def test_a_refresh_from_elsewhere_is_told_as_it_is_made(
    app: Flask, api: Api, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    with statements(app) as sent:
        newest = refresh_from_elsewhere(api, token).get_json()["refreshToken"]
    assert [one.split()[0] for one in sent] == ["SELECT", "UPDATE", "INSERT"]
    refresh_from_elsewhere(api, newest)
    assert kinds(app) == ["login", "client_changed"]
    changed = told(app)[1]
    assert (changed.ip_address, changed.user_agent) == ("203.0.113.7", "thief/1.0")


def test_reuse_is_told_with_both_addresses(
    app: Flask, api: Api, clock: time_machine.Traveller
) -> None:
    stolen = api.tokens(**{"User-Agent": "phone"})["refreshToken"]
    api.refresh(stolen, **{"User-Agent": "phone"})
    refreshed = datetime.now(UTC).isoformat()
    clock.shift(60)
    assert_problem(refresh_from_elsewhere(api, stolen), 401, "refresh_reused")
    assert kinds(app) == ["login", "refresh_refused reused", "login_ended reused"]
    reuse = told(app)[1]
    assert (reuse.ip_address, reuse.user_agent) == ("203.0.113.7", "thief/1.0")
    assert reuse.detail == {
        "generation": 0,
        "newest_generation": 1,
        "last_refresh": refreshed,
        "last_address": "127.0.0.1",
        "last_user_agent": "phone",
    }


def test_a_replay_is_told_once_a_step(app: Flask, api: Api) -> None:
    token = api.tokens()["refreshToken"]
    for _ in range(4):
        assert api.refresh(token).status_code == 200
    assert kinds(app) == ["login", "refresh_replayed"]
    assert refresh_from_elsewhere(api, token).status_code == 200
    assert kinds(app)[2:] == ["refresh_replayed"]


def test_a_refused_refresh_is_told_with_its_reason_once_an_hour(
    app: Flask, api: Api, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    api.logout(token)
    for _ in range(3):
        assert_problem(api.refresh(token), 401, "refresh_revoked")
    assert kinds(app)[2:] == ["refresh_refused revoked"]
    clock.shift(timedelta(hours=1, seconds=1))
    api.refresh(token)
    assert len(kinds(app)) == 4


def test_an_expired_token_is_told_and_a_forged_one_is_not(
    app: Flask, api: Api, clock: time_machine.Traveller
) -> None:
    token = api.tokens()["refreshToken"]
    assert_problem(api.refresh(token[:-4] + "AAAA"), 401, "refresh_invalid")
    assert kinds(app) == ["login"]
    clock.shift(timedelta(days=15))
    for _ in range(2):
        assert_problem(api.refresh(token), 401, "refresh_expired")
    assert kinds(app) == ["login", "refresh_refused expired"]
    assert told(app)[1].login_id == told(app)[0].login_id


@pytest.mark.parametrize(
    ("user", "reason", "known"),
    [
        ({**BOB, "password": "wrong"}, "wrong_password", True),
        ({**BOB, "email": "nobody@example.com"}, "unknown_user", False),
    ],
)
def test_a_failed_login_is_told_by_account(
    app: Flask, api: Api, user: dict[str, str], reason: str, *, known: bool
) -> None:
    assert_problem(api.login(user), 401, "invalid_credentials")
    (failed,) = told(app)
    assert (failed.kind, failed.reason) == ("login_failed", reason)
    bob = next(one.id for one in rows(app, User) if one.email == BOB["email"])
    assert failed.user_id == (bob if known else None)


def test_a_login_to_a_disabled_account_is_told(app: Flask, api: Api, run: Run) -> None:
    run("users", "disable", BOB["email"])
    assert_problem(api.login(), 401, "invalid_credentials")
    assert kinds(app) == ["user_disabled", "login_failed disabled"]


def test_a_changed_password_is_told_with_the_logins_it_ended(app: Flask, api: Api) -> None:
    api.tokens()
    here = api.tokens()["accessToken"]
    body = {"currentPassword": "wrong", "newPassword": "correct horse battery"}
    path = "/users/me/password"
    assert_problem(api.send("PUT", path, here, json=body), 403, "wrong_password")
    body["currentPassword"] = BOB["password"]
    assert api.send("PUT", path, here, json=body).status_code == 204
    assert kinds(app)[2:] == [
        "password_change_failed",
        "password_changed",
        "login_ended password_changed",
    ]
    failed, changed, ended = told(app)[2:]
    assert failed.login_id == changed.login_id != ended.login_id


def test_what_operators_do_is_told_with_their_name(
    app: Flask, api: Api, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    api.tokens()
    (login,) = rows(app, RefreshToken)
    lines = tmp_path / "users.jsonl"
    ann = {
        "email": "ann@example.com",
        "name": "Ann",
        "password_hash": bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode(),
    }
    lines.write_text(json.dumps(ann))
    for command in (
        ["sessions", "revoke", str(login.id)],
        ["users", "disable", BOB["email"]],
        ["users", "enable", BOB["email"]],
        ["users", "delete", "--yes", JOHN["email"]],
        ["users", "import", "--dry-run", str(lines)],
        ["users", "import", str(lines)],
        ["services", "create", "orders"],
        ["services", "revoke", "orders"],
        ["keys", "rotate", "--now"],
        ["keys", "revoke", "--yes", "1"],
    ):
        assert run(*command).exit_code == 0, command
    done = [one for one in rows(app, AuditEvent) if "ann" in (one.operator or "")]
    assert [one.kind for one in sorted(done, key=lambda one: one.id)] == [
        "login_ended",
        "user_disabled",
        "user_enabled",
        "user_deleted",
        "user_created",
        "service_created",
        "service_revoked",
        "key_created",
        "key_revoked",
    ]
    assert all((one.ip_address, one.user_agent) == (None, None) for one in done)
    assert [one.detail for one in done if one.kind == "service_created"] == [{"service": "orders"}]


def test_a_key_that_keyturn_made_by_itself_has_nobodys_name(app: Flask) -> None:
    (made,) = (one for one in rows(app, AuditEvent) if one.kind == Kind.KEY_CREATED)
    assert (made.operator, made.ip_address) == (None, None)
    assert made.detail is not None
    assert made.detail["number"] == 1


def test_an_entry_is_there_only_with_what_it_tells(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = api.tokens()["refreshToken"]
    before = kinds(app)

    def fail(*_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("the disk is full"))

    monkeypatch.setattr(revocations, "publish", fail)
    assert api.logout(token).status_code == 503
    assert kinds(app) == before
    assert rows(app, RefreshToken)[0].revoked_at is None


def test_nothing_secret_and_no_email_is_told(
    app: Flask, api: Api, clock: time_machine.Traveller
) -> None:
    first = api.tokens()
    api.login({**BOB, "password": "letMeInPlease"})
    api.login({"email": "someone@example.com", "password": "x"})
    second = api.refresh(first["refreshToken"]).get_json()
    clock.shift(60)
    api.refresh(first["refreshToken"])
    everything = repr([vars(entry) for entry in rows(app, AuditEvent)])
    hashes = [user.password_hash for user in rows(app, User)]
    for secret in (
        *(tokens[name] for tokens in (first, second) for name in ("accessToken", "refreshToken")),
        *hashes,
        "@",
        "letMeInPlease",
        BOB["password"],
    ):
        assert secret not in everything


def test_the_list_is_filtered(
    app: Flask, api: Api, run: Run, clock: time_machine.Traveller
) -> None:
    api.tokens(JOHN)
    clock.shift(timedelta(days=1))
    between = datetime.now(UTC).isoformat()
    clock.shift(timedelta(days=1, seconds=1))
    api.login({**BOB, "password": "wrong"})
    token = api.tokens()["refreshToken"]
    api.logout(token)
    bobs = str(told(app)[-1].login_id)

    def listed(*filters: str) -> list[str]:
        return [one["kind"] for one in printed(run("audit", "list", "--json", *filters))]

    assert listed("--user", BOB["email"])[1:] == ["login_failed", "login", "login_ended"]
    assert listed("--session", bobs) == ["login", "login_ended"]
    assert listed("--kind", "login", "--kind", "login_failed") == ["login", "login_failed", "login"]
    assert listed("--since", "1d") == ["login_failed", "login", "login_ended"]
    assert listed("--until", between, "--kind", "login") == ["login"]
    assert listed("--limit", "1") == ["login_ended"]
    assert run("audit", "list", "--since", "soon").exit_code == 2
    assert "login_failed" in run("audit", "list").output


def test_a_deleted_user_is_still_in_the_trail(app: Flask, api: Api, run: Run) -> None:
    api.tokens()
    bob = str(told(app)[0].user_id)
    run("users", "delete", "--yes", BOB["email"])
    listed = printed(run("audit", "list", "--user", bob, "--json"))
    assert [one["kind"] for one in listed][1:] == ["login", "user_deleted", "login_ended"]


def test_the_export_is_lines_of_json_and_knows_no_end(
    app: Flask, api: Api, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "_READ_BATCH", 2)
    for _ in range(5):
        api.login({**BOB, "password": "wrong"})
    result = run("audit", "export", "--kind", "login_failed")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["reason"] for line in lines] == ["wrong_password"] * 5
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


def test_a_purge_deletes_what_is_too_old_in_batches_and_says_so(
    app: Flask,
    api: Api,
    run: Run,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trail, "PURGE_BATCH", 2)
    for _ in range(5):
        api.login({**BOB, "password": "wrong"})
    clock.shift(timedelta(days=179))
    assert "Deleted 0 entries." in run("audit", "purge", "--before", "180d").output
    clock.shift(timedelta(days=1, seconds=1))
    assert "Deleted" in run("audit", "purge").output
    left = [one for one in told(app) if one.kind == "login_failed"]
    assert left == []
    assert told(app)[-1].kind == "audit_purged"


def test_every_login_deletes_a_few_old_entries(
    app: Flask, api: Api, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(app, delete(AuditEvent))
    for _ in range(3):
        api.login({**BOB, "password": "wrong"})
    clock.shift(timedelta(days=181))
    monkeypatch.setattr(trail, "PURGED_WITH_A_LOGIN", 2)
    api.tokens()
    assert kinds(app) == ["login_failed wrong_password", "login"]


def test_entries_of_one_moment_keep_their_order(app: Flask, clock: time_machine.Traveller) -> None:
    now = datetime.now(UTC)
    with app.app_context(), transaction(db.session()) as session:
        for number in range(50):
            trail.record(session, Kind.LOGIN, now=now, number=number)
    assert [one.detail for one in told(app)] == [{"number": number} for number in range(50)]
    assert {one.id.version for one in told(app)} == {7}


def test_every_kind_is_documented() -> None:
    page = (ROOT / "docs/audit.md").read_text()
    assert [kind for kind in Kind if f"`{kind}`" not in page] == []
