"""The service against a model of its contract: any order of logins, refreshes, thefts and time.

The model knows nothing of how the service does it: it restates the rules in the plainest words.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from keyturn.auth.models import RefreshToken
from keyturn.commands import create_app
from tests.conftest import SECRETS, dispose
from tests.support.api import BOB, Api
from tests.support.clock import standing_clock
from tests.support.database import rows
from tests.support.databases import Databases

GRACE = timedelta(seconds=10)
IDLE = timedelta(days=14)
ABSOLUTE = timedelta(days=90)
MAX_REPLAYS = 32

KEYS = st.sampled_from([None, "k1", "k2"])


@dataclass
class Login:
    """What the contract says of one login."""

    began_at: datetime
    rotated_at: datetime
    key: str | None = None
    replays: int = 0
    over: str | None = None
    tokens: list[str] = field(default_factory=list)
    expiries: list[datetime] = field(default_factory=list)

    def extend(self, token: str, now: datetime) -> None:
        self.tokens.append(token)
        self.expiries.append(min(now + IDLE, self.began_at + ABSOLUTE))

    def expected(self, generation: int, key: str | None, now: datetime) -> str:  # noqa: PLR0911 - one line a rule
        """What a refresh with the token of a generation must be answered."""
        if now >= self.expiries[generation]:
            return "refresh_expired"
        if self.over:
            return "refresh_revoked"
        if generation == len(self.tokens) - 1:
            return "rotated"
        if generation < len(self.tokens) - 2:
            return "refresh_reused"
        same_key = self.key is not None and key == self.key
        if not same_key and now > self.rotated_at + GRACE:
            return "refresh_reused"
        if self.replays == MAX_REPLAYS:
            return "too_many_replays"
        return "successor" if same_key or self.key is None else "access only"


class Refreshing(RuleBasedStateMachine):
    """One user, some logins, a thief who has copies of every token there ever was."""

    databases: Databases
    logins = Bundle("logins")

    def __init__(self) -> None:
        super().__init__()
        url = self.databases.copy()
        self.app = create_app({**SECRETS, "DATABASE_URL": url, "LOGIN_RETENTION": "34560000"})
        self.api = Api(self.app.test_client())
        self.travel = standing_clock()
        self.clock = self.travel.start()
        self.known: list[Login] = []

    def teardown(self) -> None:
        self.travel.stop()
        dispose(self.app)
        self.databases.drop()

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @initialize(target=logins)
    def first_login(self) -> Login:
        return self.log_in()

    @precondition(lambda self: len(self.known) < 3)
    @rule(target=logins)
    def another_login(self) -> Login:
        return self.log_in()

    def log_in(self) -> Login:
        login = Login(began_at=self.now, rotated_at=self.now)
        login.extend(self.api.tokens(BOB)["refreshToken"], self.now)
        self.known.append(login)
        return login

    @rule(login=logins, key=KEYS)
    def refresh(self, login: Login, key: str | None) -> None:
        self.spend(login, len(login.tokens) - 1, key)

    @rule(login=logins, key=KEYS, age=st.integers(1, 3))
    def refresh_with_an_old_copy(self, login: Login, key: str | None, age: int) -> None:
        self.spend(login, max(0, len(login.tokens) - 1 - age), key)

    @rule(login=logins, count=st.sampled_from([5, MAX_REPLAYS]))
    def refresh_again_and_again(self, login: Login, count: int) -> None:
        for _ in range(count):
            self.spend(login, max(0, len(login.tokens) - 2), login.key)

    def spend(self, login: Login, generation: int, key: str | None) -> None:
        expected = login.expected(generation, key, self.now)
        answer = self.api.refresh(login.tokens[generation], key)
        body = answer.get_json()
        if expected == "rotated":
            assert answer.status_code == 200, body
            login.rotated_at, login.key, login.replays = self.now, key, 0
            login.extend(body["refreshToken"], self.now)
        elif expected in {"successor", "access only"}:
            assert answer.status_code == 200, body
            login.replays += 1
            newest = login.tokens[-1] if expected == "successor" else None
            assert body.get("refreshToken") == newest
        else:
            assert body["code"] == expected
            if expected == "refresh_reused":
                login.over = "reused"
        if answer.status_code == 200:
            assert self.api.me(body["accessToken"]).status_code == 200

    @rule(login=logins, age=st.integers(0, 2))
    def log_out(self, login: Login, age: int) -> None:
        generation = max(0, len(login.tokens) - 1 - age)
        assert self.api.logout(login.tokens[generation]).status_code == 204
        if self.now < login.expiries[generation]:
            login.over = login.over or "logout"

    @rule(login=consumes(logins))
    def forget(self, login: Login) -> None:
        """Leave a login alone from now on, so that others are worked on."""

    @rule(
        step=st.sampled_from(
            [timedelta(seconds=1), GRACE, GRACE + timedelta(seconds=1), timedelta(days=13), IDLE]
        )
    )
    def time_goes_by(self, step: timedelta) -> None:
        self.clock.shift(step)

    @invariant()
    def the_database_remembers_what_the_model_knows(self) -> None:
        stored = sorted(
            (row.generation, row.replays, row.revoked_reason or "")
            for row in rows(self.app, RefreshToken)
        )
        assert stored == sorted(
            (len(login.tokens) - 1, login.replays, login.over or "") for login in self.known
        )


def test_the_service_behaves_as_its_model(databases: Databases) -> None:
    Refreshing.databases = databases
    run_state_machine_as_test(
        Refreshing,
        settings=hypothesis_settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
        ),
    )
