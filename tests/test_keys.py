"""Key pairs: published, signing, retired, gone; or stolen. And what others are told of them."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import load_der_private_key
from flask import Flask
from joserfc.jwk import import_key
from jwt.utils import base64url_decode, base64url_encode
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from keyturn.commands import create_app
from keyturn.tokens import key_rotation
from keyturn.tokens.keypairs import KeyPair, SealBrokenError, Vault, thumbprint
from keyturn.tokens.keyring import KeyRing
from keyturn.tokens.models import SigningKey
from tests.conftest import HS256, dispose
from tests.support.api import Api, assert_problem
from tests.support.console import Run, printed
from tests.support.database import execute, rows, statements
from tests.support.keys import (
    forget_keys,
    jwks,
    kid_of,
    published,
    signing_kid,
    states,
    verified_by_another,
)

ALGORITHMS = ["ES256", "EdDSA", "RS256"]

# By the default settings: JWKS_MAX_AGE or ACCESS_TTL, LEEWAY, and a minute.
NOTICE = timedelta(seconds=600 + 5 + 60)
OVERLAP = timedelta(seconds=900 + 5 + 60)
A_SECOND = timedelta(seconds=1)

Clock = time_machine.Traveller


@pytest.fixture
def app(app: Flask, clock: Clock) -> Flask:
    """A service that has no key yet, and a clock that stands still."""
    forget_keys(app)
    return app


@pytest.fixture
def host(settings: dict[str, str], app: Flask) -> Iterator[Callable[..., Api]]:
    """Starts more hosts of the same service: they share its database, and no memory."""
    apps: list[Flask] = []

    def start(**more: str) -> Api:
        apps.append(create_app({**settings, **more}))
        return Api(apps[-1].test_client())

    yield start
    for one in apps:
        dispose(one)


class TestEveryAlgorithm:
    @pytest.fixture(params=ALGORITHMS)
    def settings(self, settings: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
        return {**settings, "SIGNING_ALGORITHM": request.param}

    def test_signs_what_another_library_verifies(self, api: Api, settings: dict[str, str]) -> None:
        algorithm = settings["SIGNING_ALGORITHM"]
        token = api.tokens()["accessToken"]
        header = jwt.get_unverified_header(token)
        assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
        claims = verified_by_another(token, jwks(api), algorithm)
        assert claims["iss"] == "http://127.0.0.1:8000"
        assert api.me(token).status_code == 200

    def test_shows_its_public_part_and_nothing_else(self, api: Api) -> None:
        (key,) = jwks(api)["keys"]
        members = {"EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "RSA": {"n", "e"}}
        assert key.keys() == {"kty", "kid", "alg", "use"} | members[key["kty"]]
        assert key["use"] == "sig"
        assert import_key(key).thumbprint() == key["kid"]
        size = getattr(jwt.PyJWK(key).key, "key_size", None)  # bits; Ed25519 has but one
        assert size == {"EC": 256, "OKP": None, "RSA": 3072}[key["kty"]]


# --- what others are told -------------------------------------------------------------------------


def test_the_thumbprint_is_the_one_of_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    example = {"kty": "RSA", "n": modulus, "e": "AQAB"}
    assert thumbprint(example) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_jwks_may_be_kept_and_is_not_sent_twice(api: Api, run: Run, clock: Clock) -> None:
    first = api.get("/.well-known/jwks.json", None)
    assert first.mimetype == "application/json"
    assert first.headers["Cache-Control"] == "public, max-age=600"
    known = {"If-None-Match": first.headers["ETag"]}
    again = api.client.get("/.well-known/jwks.json", headers=known)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == "public, max-age=600"
    assert again.headers["ETag"] == first.headers["ETag"]
    run("keys", "rotate")
    clock.shift(A_SECOND)
    changed = api.client.get("/.well-known/jwks.json", headers=known)
    assert (changed.status_code, len(changed.get_json()["keys"])) == (200, 2)


@pytest.mark.parametrize("issuer", ["https://auth.example.com", "https://example.com/auth/"])
@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
def test_discovery_tells_who_signs_how_and_where_the_keys_are(
    host: Callable[..., Api], issuer: str, name: str
) -> None:
    api = host(ISSUER=issuer)
    answer = api.get(f"/.well-known/{name}", None)
    assert answer.headers["Cache-Control"] == "public, max-age=600"
    assert answer.headers["ETag"]
    metadata = answer.get_json()
    claims = verified_by_another(api.tokens()["accessToken"], jwks(api), "ES256")
    assert metadata["issuer"] == claims["iss"] == issuer
    assert metadata["jwks_uri"] == issuer.rstrip("/") + "/.well-known/jwks.json"
    assert metadata["id_token_signing_alg_values_supported"] == ["ES256"]


def test_discovery_names_no_endpoint_that_is_not_there(api: Api, app: Flask) -> None:
    metadata = api.get("/.well-known/openid-configuration", None).get_json()
    urls = {name: value for name, value in metadata.items() if str(value).startswith("http")}
    served = {rule.rule for rule in app.url_map.iter_rules()}
    for name in urls.keys() - {"issuer"}:
        assert urls[name].removeprefix(metadata["issuer"]) in served
    assert metadata["grant_types_supported"] == metadata["response_types_supported"] == []


class TestOneSecret:
    """ACCESS_SECRET: HS256, and nothing that others could use to sign."""

    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, **HS256}

    def test_signs_with_it(self, api: Api, settings: dict[str, str]) -> None:
        token = api.tokens()["accessToken"]
        claims = jwt.decode(
            token, settings["ACCESS_SECRET"], algorithms=["HS256"], audience="keyturn"
        )
        assert claims["iss"] == "http://127.0.0.1:8000"
        assert api.me(token).status_code == 200

    def test_is_never_shown(self, api: Api) -> None:
        assert jwks(api) == {"keys": []}
        metadata = api.get("/.well-known/openid-configuration", None).get_json()
        assert metadata["id_token_signing_alg_values_supported"] == ["HS256"]

    def test_needs_no_key(self, api: Api, app: Flask, run: Run) -> None:
        api.tokens()
        assert api.get("/readyz", None).status_code == 200
        assert rows(app, SigningKey) == []
        refused = run("keys", "list")
        assert (refused.exit_code, "ACCESS_SECRET" in refused.output) == (5, True)

    def test_alone_is_enough(self, settings: dict[str, str]) -> None:
        settings.pop("KEY_ENCRYPTION_SECRET")
        app = create_app(settings)
        assert Api(app.test_client()).login().status_code == 200
        dispose(app)


# --- the life of a key ----------------------------------------------------------------------------


def test_a_key_is_published_then_signs_then_is_retired_then_gone(
    api: Api, run: Run, clock: Clock
) -> None:
    (first,) = published(api)
    assert signing_kid(api) == first
    run("keys", "rotate")
    clock.shift(A_SECOND)
    _, second = published(api)
    assert states(run) == ["signing", "published"]

    clock.shift(NOTICE - 2 * A_SECOND)
    assert signing_kid(api) == first
    clock.shift(A_SECOND)
    assert signing_kid(api) == second
    assert states(run) == ["retired", "signing"]
    assert published(api) == [first, second]

    clock.shift(OVERLAP - A_SECOND)
    assert published(api) == [first, second]
    clock.shift(A_SECOND)
    assert published(api) == [second]
    assert states(run) == ["gone", "signing"]


def test_the_last_token_of_a_key_is_good_until_it_expires(api: Api, run: Run, clock: Clock) -> None:
    tokens = api.tokens()
    run("keys", "rotate")
    clock.shift(NOTICE - A_SECOND)
    last = api.refresh(tokens["refreshToken"]).get_json()["accessToken"]
    clock.shift(timedelta(seconds=899))
    assert kid_of(last) != signing_kid(api)
    assert api.me(last).status_code == 200
    assert verified_by_another(last, jwks(api), "ES256")
    clock.shift(timedelta(seconds=7))
    assert_problem(api.me(last), 401, "token_expired")
    clock.shift(OVERLAP)
    assert_problem(api.me(last), 401, "invalid_token")  # its key is gone


def test_a_key_is_published_for_as_long_as_the_settings_need(
    host: Callable[..., Api], run: Run, clock: Clock
) -> None:
    api = host(JWKS_MAX_AGE="60", ACCESS_TTL="120", LEEWAY="10")
    first = signing_kid(api)
    assert api.get("/.well-known/jwks.json", None).headers["Cache-Control"].endswith("max-age=60")
    api.client.application.test_cli_runner().invoke(args=["keys", "rotate"])
    clock.shift(timedelta(seconds=60 + 10 + 60))
    assert signing_kid(api) != first
    clock.shift(timedelta(seconds=120 + 10 + 60 - 1))
    assert first in published(api)
    clock.shift(A_SECOND)
    assert first not in published(api)


def test_a_key_takes_over_when_it_is_due_and_nobody_does_anything(
    api: Api, run: Run, clock: Clock
) -> None:
    (first,) = published(api)
    clock.shift(timedelta(days=90) - NOTICE - A_SECOND)
    assert published(api) == [first]
    clock.shift(A_SECOND)
    assert len(published(api)) == 2
    clock.shift(NOTICE - A_SECOND)
    assert signing_kid(api) == first
    clock.shift(A_SECOND)
    assert signing_kid(api) == published(api)[1] != first
    assert states(run) == ["retired", "signing"]


def test_a_service_that_slept_past_the_due_date_still_announces_the_key(
    api: Api, clock: Clock
) -> None:
    (first,) = published(api)
    clock.shift(timedelta(days=1000))
    assert signing_kid(api) == first
    assert len(published(api)) == 2
    clock.shift(NOTICE)
    assert signing_kid(api) != first


def test_without_rotation_days_a_key_stays(host: Callable[..., Api], clock: Clock) -> None:
    api = host(KEY_ROTATION_DAYS="0")
    (first,) = published(api)
    clock.shift(timedelta(days=5000))
    assert published(api) == [first] == [signing_kid(api)]


def test_another_algorithm_is_the_next_keys(host: Callable[..., Api], clock: Clock) -> None:
    before = host()
    old = before.tokens()["accessToken"]
    after = host(SIGNING_ALGORITHM="EdDSA")
    assert kid_of(after.tokens()["accessToken"]) == kid_of(old)
    after.client.application.test_cli_runner().invoke(args=["keys", "rotate"])
    clock.shift(NOTICE)
    new = before.tokens()["accessToken"]
    assert jwt.get_unverified_header(new)["alg"] == "EdDSA"
    metadata = before.get("/.well-known/openid-configuration", None).get_json()
    assert metadata["id_token_signing_alg_values_supported"] == ["ES256", "EdDSA"]
    still = before.refresh(before.tokens()["refreshToken"]).get_json()["accessToken"]
    assert after.me(still).status_code == 200


def test_a_key_made_at_another_host_this_very_second_is_known(
    host: Callable[..., Api], run: Run
) -> None:
    here, there = host(), host()
    old, _ = here.tokens(), there.tokens()
    assert run("keys", "rotate", "--now").exit_code == 0
    newcomer = host()
    new = newcomer.tokens()["accessToken"]
    assert kid_of(new) != kid_of(old["accessToken"])
    assert here.me(new).status_code == there.me(new).status_code == 200


def test_invented_kids_cause_few_questions_a_second(api: Api, app: Flask, clock: Clock) -> None:
    head, claims, signature = api.tokens()["accessToken"].split(".")
    header = json.loads(base64url_decode(head))
    for _ in range(2):
        with statements(app) as sent:
            for number in range(3 * KeyRing.LOOKS):
                invented = json.dumps({**header, "kid": str(number)}).encode()
                token = f"{base64url_encode(invented).decode()}.{claims}.{signature}"
                assert_problem(api.me(token), 401, "invalid_token")
        assert len(sent) <= KeyRing.LOOKS + 1
        clock.shift(A_SECOND)


def test_a_key_is_bound_to_its_algorithm(api: Api, app: Flask) -> None:
    """RFC 8725 section 3.1: what the header says selects nothing."""
    token = api.tokens()["accessToken"]
    (key,) = jwks(api)["keys"]
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = jwt.encode(
        claims,
        json.dumps(key).replace("{", "").encode(),
        algorithm="HS256",
        headers={"typ": "at+jwt", "kid": key["kid"]},
    )
    assert_problem(api.me(forged), 401, "invalid_token")


# --- several hosts --------------------------------------------------------------------------------


def test_hosts_share_keys_and_see_each_others_within_a_second(
    host: Callable[..., Api], run: Run, clock: Clock
) -> None:
    one, other = host(), host()
    assert signing_kid(one) == signing_kid(other)
    run("keys", "rotate")
    clock.shift(A_SECOND)
    assert published(one) == published(other)
    assert len(published(one)) == 2
    clock.shift(NOTICE)
    token = one.tokens()["accessToken"]
    assert kid_of(token) == signing_kid(other)
    assert other.me(token).status_code == 200


def test_a_host_whose_clock_is_behind_makes_no_second_key(
    host: Callable[..., Api], app: Flask, clock: Clock
) -> None:
    first = signing_kid(host())
    clock.shift(timedelta(seconds=-3))
    assert signing_kid(host()) == first
    assert len(rows(app, SigningKey)) == 1


def test_the_keys_are_read_once_a_second_and_opened_once(
    api: Api, app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = api.tokens()["accessToken"]
    monkeypatch.delattr(Vault, "open")  # that was for the login
    for expected in ([], ["signing_keys"], []):
        clock.shift(A_SECOND * len(expected))
        with statements(app) as sent:
            assert api.me(token).status_code == 200
        assert [table for sql in sent if (table := "signing_keys") in sql] == expected


# --- a stolen key ---------------------------------------------------------------------------------


def test_a_revoked_key_is_refused_within_a_second_on_every_host_and_a_new_one_signs(
    host: Callable[..., Api], run: Run, clock: Clock
) -> None:
    one, other = host(), host()
    tokens = one.tokens()
    stolen = kid_of(tokens["accessToken"])
    assert other.me(tokens["accessToken"]).status_code == 200
    assert run("keys", "revoke", stolen, "--yes").exit_code == 0
    clock.shift(A_SECOND)
    for api in (one, other):
        assert_problem(api.me(tokens["accessToken"]), 401, "invalid_token")
        assert stolen not in published(api)
    fresh = one.refresh(tokens["refreshToken"]).get_json()["accessToken"]
    assert kid_of(fresh) != stolen
    assert other.me(fresh).status_code == 200
    assert states(run) == ["revoked", "signing"]


def test_revoking_the_key_that_signs_revokes_those_to_come(api: Api, run: Run) -> None:
    """They lie beside it: whoever has one has them all."""
    published(api)
    run("keys", "rotate")
    run("keys", "revoke", "1", "--yes")
    assert states(run) == ["revoked", "revoked", "signing"]


def test_revoking_a_key_to_come_leaves_the_one_that_signs(api: Api, run: Run, clock: Clock) -> None:
    first = signing_kid(api)
    run("keys", "rotate")
    run("keys", "revoke", "2", "--yes")
    assert states(run) == ["signing", "revoked"]
    clock.shift(NOTICE + OVERLAP)
    assert published(api) == [first] == [signing_kid(api)]


def test_revoking_a_retired_key_leaves_the_one_that_signs(api: Api, run: Run, clock: Clock) -> None:
    old = api.tokens()["accessToken"]
    run("keys", "rotate")
    clock.shift(NOTICE)
    second = signing_kid(api)
    run("keys", "revoke", "1", "--yes")
    clock.shift(A_SECOND)
    assert_problem(api.me(old), 401, "invalid_token")
    assert published(api) == [second] == [signing_kid(api)]


def test_a_key_that_is_gone_does_not_come_back_when_its_successor_is_revoked(
    api: Api, run: Run, clock: Clock
) -> None:
    (first,) = published(api)
    run("keys", "rotate")
    clock.shift(NOTICE + OVERLAP)
    run("keys", "revoke", "2", "--yes")
    clock.shift(A_SECOND)
    assert states(run) == ["gone", "revoked", "signing"]
    assert first not in published(api)


# --- retired by hand ------------------------------------------------------------------------------


def test_retiring_the_key_that_signs_makes_its_successor_once(
    api: Api, run: Run, clock: Clock
) -> None:
    first = signing_kid(api)
    run("keys", "retire", first)
    run("keys", "retire", first)
    assert states(run) == ["signing", "published"]
    clock.shift(NOTICE)
    assert signing_kid(api) != first
    assert states(run) == ["retired", "signing"]
    run("keys", "retire", "1")
    assert states(run) == ["retired", "signing"]


def test_retiring_a_key_to_come_means_that_it_never_signs(api: Api, run: Run, clock: Clock) -> None:
    first = signing_kid(api)
    run("keys", "rotate")
    run("keys", "retire", "2")
    clock.shift(NOTICE)
    assert signing_kid(api) == first
    assert published(api) == [first]


# --- the private parts ----------------------------------------------------------------------------


def test_the_database_holds_no_private_key_that_can_be_read(api: Api, app: Flask) -> None:
    api.tokens()
    (row,) = rows(app, SigningKey)
    assert row.private_key is not None
    with pytest.raises(ValueError, match="deserialize"):
        load_der_private_key(row.private_key[12:], password=None)
    assert "d" not in json.loads(row.public_jwk)


def test_a_sealed_key_opens_with_its_secret_under_its_kid_and_no_other() -> None:
    pair = KeyPair.generate("ES256")
    vault = Vault(b"a" * 32)
    sealed = vault.seal(pair.kid, pair.private)
    assert vault.seal(pair.kid, pair.private) != sealed
    assert vault.open(pair.kid, sealed).public_key() == pair.private.public_key()
    for other, kid, data in (
        (Vault(b"b" * 32), pair.kid, sealed),
        (vault, "another", sealed),
        (vault, pair.kid, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (vault, pair.kid, b""),
    ):
        with pytest.raises(SealBrokenError):
            other.open(kid, data)


def test_private_parts_are_erased_when_they_are_of_no_use(
    api: Api, app: Flask, run: Run, clock: Clock
) -> None:
    published(api)
    run("keys", "rotate")
    clock.shift(NOTICE + OVERLAP)
    run("keys", "rotate")
    run("keys", "revoke", "3", "--yes")
    kept = {key.number for key in rows(app, SigningKey) if key.private_key is not None}
    assert kept == {2}  # the one that signs


class TestALostSecret:
    """KEY_ENCRYPTION_SECRET is not the one that the keys were encrypted with."""

    @pytest.fixture
    def token(self, host: Callable[..., Api]) -> str:
        return str(host().tokens()["accessToken"])

    @pytest.fixture
    def other(self, host: Callable[..., Api], token: str) -> Api:
        assert token, "the key is made before"
        return host(KEY_ENCRYPTION_SECRET="Qm5wErTy8UiOp2AsDf6GhJkLz9XcVb3N")

    def test_is_told_clearly_and_nothing_is_signed(
        self, other: Api, token: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert_problem(other.get("/readyz", None), 503, "unavailable")
        assert_problem(other.login(), 503, "unavailable")
        (line,) = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
        assert f"KEY_ENCRYPTION_SECRET does not open signing key 1 ({kid_of(token)})" in line
        assert "flask keys rotate --now" in line

    def test_refuses_no_token_that_is_good(self, other: Api, token: str) -> None:
        assert other.me(token).status_code == 200
        assert published(other) == [kid_of(token)]

    def test_is_seen_in_the_list(self, other: Api) -> None:
        listed = other.client.application.test_cli_runner().invoke(args=["keys", "list", "--json"])
        assert "KEY_ENCRYPTION_SECRET does not open signing key 1" in listed.stderr
        assert printed(listed)[0]["state"] == "signing"

    def test_is_mended_by_a_key_that_signs_at_once(
        self, other: Api, token: str, clock: Clock
    ) -> None:
        runner = other.client.application.test_cli_runner()
        runner.invoke(args=["keys", "rotate"])  # with the next key under the old secret
        assert runner.invoke(args=["keys", "rotate", "--now"]).exit_code == 0
        clock.shift(A_SECOND)
        assert other.get("/readyz", None).status_code == 200
        new = other.tokens()["accessToken"]
        assert kid_of(new) != kid_of(token)
        assert other.me(new).status_code == other.me(token).status_code == 200
        clock.shift(NOTICE)
        assert signing_kid(other) == kid_of(new)


# --- faults ---------------------------------------------------------------------------------------


def test_while_keys_cannot_be_read_they_stay_as_they_were_for_an_hour(
    api: Api, app: Flask, clock: Clock
) -> None:
    token = api.tokens()["accessToken"]
    execute(app, text("ALTER TABLE signing_keys RENAME TO away"))
    clock.shift(timedelta(minutes=10))
    assert published(api) == [kid_of(token)]
    assert api.me(token).status_code == 200
    clock.shift(timedelta(minutes=51))
    assert_problem(api.get("/.well-known/jwks.json", None), 503, "unavailable")
    execute(app, text("ALTER TABLE away RENAME TO signing_keys"))
    assert published(api) == [kid_of(token)]


def test_a_rotation_that_cannot_be_written_refuses_nobody(
    api: Api, app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = published(api)
    clock.shift(timedelta(days=100))
    attempts: list[datetime] = []

    def full(*_: Any, **__: Any) -> None:
        attempts.append(datetime.now(UTC))
        raise OperationalError("INSERT", {}, Exception("disk full"))

    with monkeypatch.context() as broken:
        broken.setattr(key_rotation, "ensure", full)
        for _ in range(5):
            assert signing_kid(api) == first
            clock.shift(A_SECOND)
    assert len(attempts) == 1  # it is not tried again with every request
    assert len(published(api)) == 2


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "stdin", "exit_code", "said"),
    [
        (["revoke", "7", "--yes"], None, 3, "no such key"),
        (["retire", "nonsense"], None, 3, "no such key"),
        (["retire", "-dash"], None, 3, "no such key"),
        (["revoke", "-dash", "--yes"], None, 3, "no such key"),
        (["revoke", "1"], "n\n", 1, "Aborted"),
        (["revoke"], None, 2, "KEY"),
    ],
)
def test_exit_codes_tell_what_went_wrong(
    api: Api, run: Run, arguments: list[str], stdin: str | None, exit_code: int, said: str
) -> None:
    (key,) = published(api)
    result = run("keys", *arguments, stdin=stdin)
    assert (result.exit_code, said in result.output) == (exit_code, True), result.output
    assert published(api) == [key]
    assert states(run) == ["signing"]


def test_the_list_tells_when_each_state_begins(api: Api, run: Run, clock: Clock) -> None:
    published(api)
    made, takes_over, gone = (
        (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        for seconds in (0, 11 * 60 + 5, 27 * 60 + 10)
    )
    first, second = printed(run("keys", "rotate", "--json"))
    assert (first["published"], first["signing"]) == (made, made)
    assert (first["retired"], first["gone"]) == (takes_over, gone)
    assert (second["published"], second["signing"]) == (made, takes_over)
    assert (second["retired"], second["gone"]) == (None, None)
    table = run("keys", "list").output.splitlines()
    assert table[0].split() == list(first)
    assert len(table) == 2 + 2
