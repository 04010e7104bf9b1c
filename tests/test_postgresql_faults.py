"""What happens to a PostgreSQL in the field, done to one of the tests' own.

503 with Retry-After while it lasts, recovery without a restart, and nothing that a client was told
is lost.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import URL, Engine, PoolProxiedConnection, create_engine, select, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from werkzeug.test import TestResponse

from keyturn.auth.models import RefreshToken
from keyturn.database import db
from tests.conftest import dispose, fill_template
from tests.support import history, postgres
from tests.support.api import BOB, Api, assert_problem
from tests.support.database import rows
from tests.support.databases import Databases, PostgresDatabases
from tests.support.server import Server

CLIENTS = 4

CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = :database AND pid <> pg_backend_pid()"
)

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

FILL = text(
    "INSERT INTO refresh_tokens (id, user_id, generation, created_at, rotated_at, idle_expires_at,"
    " absolute_expires_at, user_agent, ip_address, replays)"
    " SELECT gen_random_uuid(), user_id, 0, created_at, rotated_at, idle_expires_at,"
    " absolute_expires_at, repeat('x', 512), ip_address, 0"
    " FROM refresh_tokens, generate_series(1, :rows) WHERE id = :id"
)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[postgres.Postgres]:
    """A PostgreSQL that no other test depends on, and that keeps what it acknowledged."""
    bin_folder = postgres.programs()
    if request.config.getoption("database") != "postgresql" or bin_folder is None:
        pytest.skip("about PostgreSQL")
    cluster = postgres.Postgres(bin_folder, synchronous_commit="on")
    cluster.start()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="module")
def own_databases(cluster: postgres.Postgres) -> Databases:
    databases = PostgresDatabases(cluster.url(), "own")
    fill_template(databases)
    return databases


@pytest.fixture
def settings(settings: dict[str, str], own_databases: Databases) -> Iterator[dict[str, str]]:
    yield {**settings, "DATABASE_URL": own_databases.copy(), "POSTGRES_LOCK_TIMEOUT": "20"}
    own_databases.drop()


@pytest.fixture
def operator(app: Flask) -> Iterator[Engine]:
    """A connection of somebody else's to the same database."""
    with app.app_context():
        url = db.engine.url
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_under_load_loses_nothing_and_needs_no_restart_of_ours(
    serve: Callable[..., Server], app: Flask, cluster: postgres.Postgres, mode: str
) -> None:
    server = serve(WEB_CONCURRENCY=2, THREADS=4)
    with history.at_work([server.request], CLIENTS) as clients:
        history.wait_for_refreshes(clients, 4)
        cluster.stop(mode)
        away = server.request("POST", "/auth/refresh", {"refreshToken": clients[0].last_token})
        ready = server.request("GET", "/readyz")
        cluster.start()
        history.wait_for_refreshes(clients, 4)
    for answer in (away, ready):
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
    assert {refusal for client in clients for refusal in client.refused} == {(503, "1")}
    history.check(app, clients)


def test_connections_cut_under_load_lose_nothing(
    serve: Callable[..., Server], app: Flask, operator: Engine
) -> None:
    server = serve(WEB_CONCURRENCY=2, THREADS=4)
    with history.at_work([server.request], CLIENTS) as clients:
        for _ in range(8):
            history.wait_for_refreshes(clients, 1)
            with operator.connect() as connection:
                cut = connection.execute(CUT, {"database": operator.url.database}).all()
            assert cut
    assert {refusal for client in clients for refusal in client.refused} <= {(503, "1")}
    history.check(app, clients)


def test_a_connection_cut_within_the_transaction_leaves_the_token_unspent(
    api: Api, app: Flask, operator: Engine
) -> None:
    token = api.tokens()["refreshToken"]

    with app.app_context():
        dialect = db.engine.dialect

    commit = dialect.do_commit

    def cut_before(connection: PoolProxiedConnection) -> None:
        with operator.connect() as other:
            other.execute(CUT, {"database": operator.url.database})
        commit(connection)

    with mock.patch.object(dialect, "do_commit", cut_before):
        assert_problem(api.refresh(token, "key"), 503, "unavailable")
    assert [login.generation for login in rows(app, RefreshToken)] == [0]
    assert api.refresh(token, "key").status_code == 200


def test_who_loses_a_deadlock_is_tried_again(api: Api, app: Flask, operator: Engine) -> None:
    alter(app, operator, "deadlock_timeout", "2s")  # it looks once, when the two have met
    tokens = [api.tokens() for _ in range(3)]
    logins = [history.claims(one["refreshToken"])["sid"] for one in tokens]
    lock = text("SELECT 1 FROM refresh_tokens WHERE id = :id FOR UPDATE")
    with operator.connect().execution_options(isolation_level="READ COMMITTED") as other:
        other.execute(text("SET deadlock_timeout = '1h'"))  # it never gives way
        other.execute(lock, {"id": logins[1]})
        with ThreadPoolExecutor(1) as background, operator.connect() as watcher:
            answer = background.submit(
                api.send, "DELETE", "/auth/sessions", tokens[2]["accessToken"]
            )
            history.wait_until(lambda: bool(watcher.scalar(WAITING)))
            other.execute(lock, {"id": logins[0]})
            other.commit()
            assert answer.result().status_code == 204
    assert all(login.revoked_at for login in rows(app, RefreshToken))


def test_a_refresh_that_cannot_be_serialised_is_tried_again(
    api: Api, app: Flask, operator: Engine
) -> None:
    alter(app, operator, "default_transaction_isolation", "serializable")
    token = api.tokens()["refreshToken"]
    for _ in range(5):
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(api.refresh, [token] * 8))
        assert [answer.status_code for answer in answers] == [200] * 8
        (token,) = {answer.get_json()["refreshToken"] for answer in answers}
    assert [login.generation for login in rows(app, RefreshToken)] == [5]


def test_yesterdays_backup_is_restored_under_running_hosts(
    serve: Callable[..., Server],
    app: Flask,
    cluster: postgres.Postgres,
    operator: Engine,
) -> None:
    """What was told after the backup is lost, and nothing else is; what had ended stays ended."""
    server = serve(WEB_CONCURRENCY=2, THREADS=4)
    quiet = history.Client([server.request])
    ended, kept = quiet.log_in(), quiet.log_in()
    quiet.log_out(ended)
    with history.at_work([server.request], CLIENTS) as busy:
        history.wait_for_refreshes(busy, 6)
        clients = [*busy, quiet]
        told_before = history.told(clients)
        dump = cluster.dump(str(operator.url.database))
        history.wait_for_refreshes(busy, 6)
    quiet.log_out(kept)
    for client in clients:
        assert (client.fault, client.refused) == (None, [])

    backup = restore_beside(cluster, operator, dump)
    returns = history.cut_back(clients, told_before, logins_at(backup))
    assert {one.code for one in returns} == {"refresh_invalid", "refresh_revoked", None}
    assert [one.code for one in returns if one.client is quiet] == ["refresh_revoked", None]
    with ThreadPoolExecutor(len(returns)) as devices:
        with exchanged(cluster, operator, backup):
            answers = devices.map(lambda one: one.client.try_to_refresh(one.token), returns)
            history.wait_until(lambda: all(client.refused for client in clients))
            ready = server.request("GET", "/readyz")
        for one, answer in zip(returns, list(answers), strict=True):
            assert answer.json.get("code") == one.code
            if one.code is None:
                one.chain.tokens.append(answer.json["refreshToken"])
    assert ready.status == 503
    assert int(ready.headers["Retry-After"]) >= 1
    assert {refusal for client in clients for refusal in client.refused} == {(503, "1")}

    for one in returns:
        if one.chain.tokens and not one.chain.is_ended:
            one.client.refresh(one.chain)  # a later token has changed nothing
    with history.working(busy):
        history.wait_for_refreshes(busy, 6)
    history.check(app, clients)


def restore_beside(cluster: postgres.Postgres, operator: Engine, dump: Path) -> URL:
    """Bring a backup into a database of its own, as docs/postgresql.md says."""
    backup = operator.url.set(database=f"{operator.url.database}_backup")
    with operator.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {backup.database} TEMPLATE template0"))
    cluster.restore(dump, str(backup.database))
    return backup


def logins_at(url: URL) -> Sequence[RefreshToken]:
    with Session(create_engine(url, poolclass=NullPool)) as session:
        return session.scalars(select(RefreshToken)).all()


@contextmanager
def exchanged(cluster: postgres.Postgres, operator: Engine, backup: URL) -> Iterator[None]:
    """Take the database away for the while, and put the backup in its place."""
    name = operator.url.database
    postgres_itself = create_engine(cluster.url(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with postgres_itself.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        history.wait_until(lambda: not connection.execute(CUT, {"database": name}).all())
        try:
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {name} RENAME TO {name}_before"))
            connection.execute(text(f"ALTER DATABASE {backup.database} RENAME TO {name}"))
            connection.execute(text(f"DROP DATABASE {name}_before"))


def alter(app: Flask, operator: Engine, setting: str, value: str) -> None:
    """Change a setting of the database, for connections that are made from now on."""
    with operator.connect() as connection:
        connection.execute(
            text(f"ALTER DATABASE {operator.url.database} SET {setting} = '{value}'")
        )
    dispose(app)


def test_a_full_disk_is_503_and_no_token_is_spent(
    api: Api, app: Flask, operator: Engine, cluster: postgres.Postgres
) -> None:
    tokens = [api.tokens()["refreshToken"] for _ in range(3)]
    with operator.connect() as connection:
        sid = history.claims(tokens[0])["sid"]
        connection.execute(FILL, {"id": sid, "rows": 4000})
        size = connection.scalar(text("SELECT pg_relation_size('refresh_tokens')"))
    assert size > 2**21  # more than a file of the log

    long = {"User-Agent": "x" * 512}
    cluster.limit_files(size)
    while (answer := api.login(BOB, **long)).status_code == 200:
        pass
    assert_unavailable(answer)
    refreshed = [api.refresh(token, **long) for token in tokens]
    for answer in refreshed:
        if answer.status_code != 200:
            assert_unavailable(answer)

    cluster.limit_files(None)
    for token, answer in zip(tokens, refreshed, strict=True):
        done = answer.status_code == 200
        assert api.refresh(answer.get_json()["refreshToken"] if done else token).status_code == 200
    assert api.login().status_code == 200


def assert_unavailable(answer: TestResponse) -> None:
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
