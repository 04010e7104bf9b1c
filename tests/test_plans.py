"""Every statement that a route sends finds its rows by an index, however many there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask, request, request_finished
from sqlalchemy import Connection, NullPool, create_engine, inspect, text

from keyturn import clock
from keyturn.auth import sessions
from keyturn.commands import create_app
from keyturn.database import Base, db
from tests.conftest import SECRETS, dispose
from tests.support.api import BOB, JOHN, Api
from tests.support.clock import standing_clock
from tests.support.databases import Databases
from tests.support.plans import Sent, faults, recorded
from tests.support.population import Population
from tests.support.services import make_service_token
from tests.support.visit import Visit, Visitor

READ_WHOLE = {
    "signing_keys": "all are wanted, and they are a handful: KEY_ROTATION_DAYS adds one",
}


@dataclass(frozen=True)
class Traffic:
    """Which routes were called, how they answered, and the statements that were sent."""

    calls: set[tuple[str, str]]
    statuses: set[int]
    sent: list[Sent]


@pytest.fixture(scope="module")
def url(databases: Databases) -> str:
    return databases.lasting_copy()


@pytest.fixture(scope="module")
def busy_app(url: str) -> Iterator[Flask]:
    """A service with some thousand logins."""
    Population(500, 5000, "none").settle(create_engine(url, poolclass=NullPool))
    app = create_app({**SECRETS, "DATABASE_URL": url, "REGISTRATION": "open"})
    yield app
    dispose(app)


@pytest.fixture(scope="module")
def traffic(busy_app: Flask) -> Traffic:
    """What is sent for every route, for what they refuse and for the purges."""
    token = make_service_token(busy_app)
    calls, statuses = set(), set()

    def note(_: Flask, **__: object) -> None:
        calls.add((str(request.url_rule), request.method))

    with recorded(busy_app) as sent:
        with request_finished.connected_to(note, busy_app):
            bob = Visitor(**BOB, free_email="ann@example.com")
            for answer in Visit(busy_app.test_client(), bob, token).everywhere():
                statuses.add(answer.status_code)
        be_refused(Api(busy_app.test_client()))
        look_after(busy_app)
    return Traffic(calls, statuses, [*sent.values()])


def be_refused(api: Api) -> None:
    with standing_clock() as traveller:
        assert api.login({**JOHN, "password": "wrong"}).status_code == 401
        taken = {"name": "John", "email": JOHN["email"], "password": "correct horse battery"}
        assert api.client.post("/users", json=taken).status_code == 409
        first, other = api.tokens(JOHN), api.tokens(JOHN)
        for _ in range(2):
            assert api.refresh(first["refreshToken"]).status_code == 200
        traveller.shift(timedelta(minutes=1))
        assert api.refresh(first["refreshToken"]).status_code == 401  # reused: it ends the login
        traveller.shift(timedelta(days=15))
        assert api.refresh(other["refreshToken"]).status_code == 401  # expired


def look_after(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    for command in ("sessions purge", "audit purge"):
        assert run(args=command.split()).exit_code == 0
    with app.app_context():
        sessions.purge_lag(db.session(), before=clock.now())


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A connection of its own; what is done on it is undone."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Where a table is small, no index is worth its while; here we ask if there is one.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("ANALYZE"))  # as it does by itself, sooner or later
        else:
            connection.execute(text("BEGIN"))  # the driver begins none for an ANALYZE
        yield connection
        connection.rollback()


def test_every_route_is_called_and_answers_well(traffic: Traffic, busy_app: Flask) -> None:
    routes = {
        (rule.rule, method)
        for rule in busy_app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert traffic.calls == routes
    assert {status // 100 for status in traffic.statuses} <= {2, 3}


@pytest.mark.parametrize("statistics", [False, True])
def test_no_statement_reads_a_table_or_an_index_from_end_to_end(
    traffic: Traffic, connection: Connection, *, statistics: bool
) -> None:
    if statistics:
        connection.execute(text("ANALYZE"))
    assert len(traffic.sent) > 30
    found = [fault for sent in traffic.sent for fault in faults(connection, sent)]
    assert [fault for fault in found if fault.table not in READ_WHOLE] == []
    assert {fault.table for fault in found} == set(READ_WHOLE)


@pytest.mark.parametrize(
    ("index", "table"),
    [
        ("ix_refresh_tokens_user_id", "refresh_tokens"),
        ("ix_refresh_tokens_idle_expires_at_revoked_at", "refresh_tokens"),
        ("ix_spent_budgets_full_at", "spent_budgets"),
    ],
)
def test_it_is_found_out_if_an_index_is_missing(
    traffic: Traffic, connection: Connection, index: str, table: str
) -> None:
    connection.execute(text(f"DROP INDEX {index}"))
    found = [fault for sent in traffic.sent for fault in faults(connection, sent)]
    assert {fault.table for fault in found} == {*READ_WHOLE, table}, found


def test_what_is_deleted_with_another_row_is_found_by_an_index(connection: Connection) -> None:
    # The database's own statements for ON DELETE CASCADE are in nobody's plan.
    inspector = inspect(connection)
    for table in Base.metadata.tables:
        leading = {index["column_names"][0] for index in inspector.get_indexes(table)}
        for reference in inspector.get_foreign_keys(table):
            assert reference["constrained_columns"][0] in leading
