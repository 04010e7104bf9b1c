"""Guessing passwords: how often, by whom, and that nobody can lock an owner out."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from uuid import uuid4

import jwt
import pytest
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from keyturn.config import Settings
from keyturn.errors import TooManyAttemptsError
from keyturn.parsing import DAY, Rate
from keyturn.throttle import attempts
from keyturn.throttle.attempts import SWEPT_WITH_A_CLAIM
from keyturn.throttle.budgets import DEVICES_AT_ONCE, Budgets, Claim, network_of
from keyturn.throttle.models import SpentBudget
from tests.conftest import SECRETS
from tests.support.api import BOB, JOHN, Api, assert_problem
from tests.support.database import rows, statements
from tests.support.server import Server, insist

NEW = "correct horse battery"
STRANGER = "198.51.100.1"


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    """Two wrong passwords, and another every half a minute."""
    return {**settings, "THROTTLE_ACCOUNT": "2/60"}


def guess(
    api: Api,
    user: dict[str, str] = BOB,
    password: str = "wrong",
    *,
    address: str = STRANGER,
    device: str | None = None,
) -> TestResponse:
    return api.client.post(
        "/auth/login",
        json={**user, "password": password},
        headers={} if device is None else {"Device-Token": device},
        environ_overrides={"REMOTE_ADDR": address},
    )


def spend(api: Api, user: dict[str, str] = BOB, *, device: str | None = None) -> None:
    """Guess until the account's budget, or the device's, is spent."""
    for _ in range(2):
        assert_problem(guess(api, user, device=device), 401, "invalid_credentials")
    assert_refused(guess(api, user, device=device))


def assert_refused(answer: TestResponse) -> int:
    """Return after how many seconds to try again."""
    assert_problem(answer, 429, "too_many_attempts")
    return int(answer.headers["Retry-After"])


# --- one account ----------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [BOB, {"email": "nobody@gmail.com"}])
def test_an_account_can_be_guessed_so_often_and_then_again_after_what_retry_after_says(
    api: Api, clock: time_machine.Traveller, user: dict[str, str]
) -> None:
    spend(api, user)
    assert assert_refused(guess(api, user)) == 30
    clock.shift(29.5)
    assert assert_refused(guess(api, user)) == 1
    clock.shift(0.5)
    assert_problem(guess(api, user), 401, "invalid_credentials")
    assert assert_refused(guess(api, user)) == 30
    clock.shift(60)
    spend(api, user)


def test_a_refused_attempt_spends_no_hash_and_takes_no_lock(
    api: Api, app: Flask, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend(api)
    monkeypatch.delattr("keyturn.passwords.Passwords.verify")
    with statements(app) as sent:
        assert_refused(guess(api, password=BOB["password"]))
    assert [statement.split()[0] for statement in sent] == ["SELECT", "SELECT"]


def test_a_success_gives_the_claims_back(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    guess(api)
    before = {budget.key: budget.full_at for budget in rows(app, SpentBudget)}
    for _ in range(5):
        assert guess(api, password=BOB["password"]).status_code == 200
    assert {budget.key: budget.full_at for budget in rows(app, SpentBudget)} == before


def test_one_account_is_not_another(api: Api) -> None:
    spend(api, BOB)
    assert api.login(JOHN).status_code == 200


def test_the_case_of_an_email_does_not_give_another_budget(api: Api) -> None:
    spend(api, BOB)
    assert_refused(guess(api, {"email": "BOB@Gmail.com"}))


def test_logins_that_live_are_not_touched(api: Api) -> None:
    tokens = api.tokens()
    spend(api)
    assert api.me(tokens["accessToken"]).status_code == 200
    assert api.refresh(tokens["refreshToken"]).status_code == 200


def test_by_default_an_account_is_guessed_at_most_a_hundred_times_in_thirty_days(
    app: Flask,
) -> None:
    """However long the attacker goes on, and if every try comes as soon as it may."""
    budget = Claim("account", "k" * 64, "k" * 64, Settings.load(SECRETS).throttle_account)
    now = start = datetime(2026, 11, 24, tzinfo=UTC)
    granted = []
    with app.app_context():
        while now < start + timedelta(days=90):
            try:
                attempts.claim([budget], now=now)
                granted.append(now)
            except TooManyAttemptsError as refused:
                now += timedelta(seconds=refused.retry_after or 0)
    month = timedelta(days=30)
    windows = [sum(first <= one < first + month for one in granted) for first in granted]
    assert windows[0] == max(windows) == 99


# --- addresses, and all ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("203.0.113.7:4711", "unknown"),
    ],
)
def test_what_stands_for_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


class TestAnAddress:
    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, "THROTTLE_ADDRESS": "2/60"}

    @pytest.mark.usefixtures("clock")
    def test_cannot_try_many_accounts(self, api: Api) -> None:
        for number in range(2):
            guess(api, {"email": f"{number}@example.com"})
        assert assert_refused(guess(api, {"email": "3@example.com"})) == 30
        assert guess(api, password=BOB["password"], address="198.51.100.2").status_code == 200

    def test_of_ipv6_is_its_network_of_64_bits(self, api: Api) -> None:
        for number in range(2):
            guess(api, {"email": f"{number}@example.com"}, address=f"2001:db8::{number}")
        assert_refused(guess(api, {"email": "3@example.com"}, address="2001:db8::ffff:1:2:3"))
        assert guess(api, password=BOB["password"], address="2001:db8:0:1::").status_code == 200

    @pytest.mark.usefixtures("clock")
    def test_that_is_refused_takes_nothing_from_the_account(self, api: Api, app: Flask) -> None:
        for number in range(2):
            guess(api, {"email": f"{number}@example.com"})
        before = {budget.key: budget.full_at for budget in rows(app, SpentBudget)}
        assert_refused(guess(api))
        assert {budget.key: budget.full_at for budget in rows(app, SpentBudget)} == before

    def test_is_the_one_that_a_trusted_proxy_tells(
        self, settings: dict[str, str], request: pytest.FixtureRequest
    ) -> None:
        settings["TRUSTED_PROXIES"] = "1"
        api = Api(request.getfixturevalue("app").test_client())
        forwarded = {"X-Forwarded-For": "203.0.113.1, 203.0.113.2"}
        for number in range(2):
            api.login({"email": f"{number}@example.com", "password": "x"}, **forwarded)
        forwarded = {"X-Forwarded-For": "203.0.113.3, 203.0.113.2"}
        assert_refused(api.login(BOB, **forwarded))
        forwarded = {"X-Forwarded-For": "203.0.113.2, 203.0.113.3"}
        assert api.login(BOB, **forwarded).status_code == 200


def test_forwarded_addresses_that_nobody_vouches_for_change_nothing(api: Api) -> None:
    for number in range(2):
        api.login({**BOB, "password": "x"}, **{"X-Forwarded-For": f"203.0.113.{number}"})
    assert_refused(api.login(**{"X-Forwarded-For": "203.0.113.9"}))


class TestAllTogether:
    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, "THROTTLE_ALL": "4/60"}

    @pytest.mark.usefixtures("clock")
    def test_a_botnet_meets_the_limit_of_all(self, api: Api) -> None:
        device = api.tokens()["deviceToken"]
        for number in range(4):
            address = str(IPv4Address("203.0.113.0") + number)
            answer = guess(api, {"email": f"{number}@example.com"}, address=address)
            assert_problem(answer, 401, "invalid_credentials")
        assert assert_refused(guess(api, address="203.0.113.200")) == 15
        assert guess(api, password=BOB["password"], device=device).status_code == 200


# --- devices --------------------------------------------------------------------------------------


def test_an_attacker_cannot_lock_the_owner_out(api: Api) -> None:
    owners = api.tokens()["deviceToken"]
    spend(api)
    assert_refused(guess(api, password=BOB["password"]))
    assert guess(api, password=BOB["password"], device=owners).status_code == 200


def test_a_device_token_logs_nobody_in(api: Api) -> None:
    device = api.tokens()["deviceToken"]
    assert_problem(guess(api, device=device), 401, "invalid_credentials")
    assert_problem(api.me(device), 401, "invalid_token")
    assert_problem(api.refresh(device), 401, "refresh_invalid")


def test_who_steals_a_device_token_spends_its_budget_and_no_other(api: Api) -> None:
    stolen, other = api.tokens()["deviceToken"], api.tokens()["deviceToken"]
    spend(api, device=stolen)
    assert guess(api, password=BOB["password"], device=other).status_code == 200
    assert guess(api, password=BOB["password"]).status_code == 200


def test_a_device_stays_itself_from_login_to_login(api: Api) -> None:
    token = api.tokens()["deviceToken"]
    again = guess(api, password=BOB["password"], device=token).get_json()["deviceToken"]
    ids = [jwt.decode(one, options={"verify_signature": False})["jti"] for one in (token, again)]
    assert ids[0] == ids[1]
    spend(api, device=token)
    assert_refused(guess(api, device=again))


def test_a_device_token_outlives_a_change_of_the_password(api: Api) -> None:
    tokens = api.tokens()
    body = {"currentPassword": BOB["password"], "newPassword": NEW}
    api.send("PUT", "/users/me/password", tokens["accessToken"], body)
    spend(api)
    assert guess(api, password=NEW, device=tokens["deviceToken"]).status_code == 200


def test_a_device_token_ends(api: Api, clock: time_machine.Traveller) -> None:
    token = api.tokens()["deviceToken"]
    clock.shift(timedelta(days=400))
    spend(api)
    assert_refused(guess(api, device=token))


def forged(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    return jwt.encode(claims, SECRETS["REFRESH_SECRET"], headers=header)


def test_who_shows_no_device_token_of_this_user_is_a_stranger(api: Api) -> None:
    bobs = api.tokens()
    spend(api)
    for shown in (
        api.tokens(JOHN)["deviceToken"],
        bobs["refreshToken"],
        bobs["accessToken"],
        forged(bobs["deviceToken"]),
        "nonsense",
        "x" * 10_000,
        "",
    ):
        assert_refused(guess(api, password=BOB["password"], device=shown))


def test_device_tokens_gathered_by_who_once_knew_the_password_are_no_endless_guesses(
    settings: dict[str, str], request: pytest.FixtureRequest, clock: time_machine.Traveller
) -> None:
    settings["THROTTLE_ACCOUNT"] = "1/60"
    api = Api(request.getfixturevalue("app").test_client())
    gathered = [api.tokens()["deviceToken"] for _ in range(DEVICES_AT_ONCE + 1)]
    for token in gathered[:DEVICES_AT_ONCE]:
        assert_problem(guess(api, device=token), 401, "invalid_credentials")
    assert_refused(guess(api, device=gathered[-1]))


def test_only_a_login_hands_a_device_token_out(api: Api) -> None:
    assert "deviceToken" not in api.refresh(api.tokens()["refreshToken"]).get_json()


# --- passwords asked for again --------------------------------------------------------------------


def change(api: Api, access_token: str, current: str) -> TestResponse:
    body = {"currentPassword": current, "newPassword": NEW}
    return api.send("PUT", "/users/me/password", access_token, body)


def test_who_steals_an_access_token_cannot_guess_the_password_on_and_on(
    api: Api, clock: time_machine.Traveller
) -> None:
    stolen, other = api.tokens()["accessToken"], api.tokens()["accessToken"]
    for _ in range(2):
        assert_problem(change(api, stolen, "wrong"), 403, "wrong_password")
    assert assert_refused(change(api, stolen, BOB["password"])) == 30
    assert api.me(stolen).status_code == 200
    assert change(api, other, BOB["password"]).status_code == 204


def test_who_guesses_elsewhere_keeps_no_owner_from_a_new_password(api: Api) -> None:
    token = api.tokens()["accessToken"]
    spend(api)
    assert change(api, token, BOB["password"]).status_code == 204


def test_a_changed_password_gives_its_claim_back(api: Api) -> None:
    token = api.tokens()["accessToken"]
    for current in (BOB["password"], NEW, NEW):
        assert change(api, token, current).status_code == 204


# --- what is kept ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("clock")
def test_the_database_does_not_tell_whose_budgets_are_spent(api: Api, app: Flask) -> None:
    guess(api)
    guess(api, device=api.tokens()["deviceToken"])
    kept = [str(vars(budget)) for budget in rows(app, SpentBudget)]
    assert len(kept) == 5
    for secret in ("bob", "gmail", STRANGER):
        assert not any(secret in row for row in kept)
    other = Budgets(b"another key", account=Rate(1, 1), address=Rate(1, 1), everything=Rate(1, 1))
    known = {budget.key for budget in rows(app, SpentBudget)}
    assert known.isdisjoint({claim.key for claim in other.of_login(BOB["email"], STRANGER, None)})


def test_a_claim_deletes_a_few_budgets_that_are_full_again(
    api: Api, app: Flask, clock: time_machine.Traveller
) -> None:
    with app.app_context():
        for number in range(SWEPT_WITH_A_CLAIM + 3):
            once = Claim("account", f"{number}", "holder", Rate(1, 60))
            attempts.claim([once], now=datetime.now(UTC))
    clock.shift(59)
    guess(api)
    assert len(rows(app, SpentBudget)) == SWEPT_WITH_A_CLAIM + 3 + 3
    clock.shift(1)
    guess(api)
    assert len(rows(app, SpentBudget)) == 3 + 3
    guess(api, JOHN)
    assert len(rows(app, SpentBudget)) == 3 + 1


def test_a_lower_limit_counts_at_once(app: Flask) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    with app.app_context():
        for rate in (Rate(5, 60), Rate(5, 60)):
            attempts.claim([Claim("account", "k", "k", rate)], now=now)
        with pytest.raises(TooManyAttemptsError):
            attempts.claim([Claim("account", "k", "k", Rate(1, 60))], now=now)


# --- many at once ---------------------------------------------------------------------------------


@pytest.fixture
def many() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_of_many_guesses_at_once_in_many_workers_as_many_are_checked_as_allowed(
    serve: Callable[..., Server], many: ThreadPoolExecutor
) -> None:
    server = serve(WEB_CONCURRENCY=4, THROTTLE_ACCOUNT=f"7/{DAY}")
    body = {"email": BOB["email"], "password": "wrong"}
    answers = list(many.map(insist, [server] * 40, [body] * 40))
    assert Counter(answer.status for answer in answers) == {401: 7, 429: 33}


def test_many_who_are_right_and_wrong_at_once_get_their_answers(
    serve: Callable[..., Server], many: ThreadPoolExecutor
) -> None:
    """All claim the budgets of the address and of all: nobody waits for each other in a ring."""
    server = serve(WEB_CONCURRENCY=2, THROTTLE_ACCOUNT="100/60")
    bodies = [
        {**BOB, "password": "wrong"},
        {**JOHN, "password": "wrong"},
        BOB,
        JOHN,
        {"email": f"{uuid4()}@example.com", "password": "wrong"},
    ] * 8
    answers = list(many.map(insist, [server] * len(bodies), bodies))
    right = [body in (BOB, JOHN) for body in bodies]
    assert [answer.status for answer in answers] == [200 if one else 401 for one in right]
    assert "deadlock" not in server.log()
