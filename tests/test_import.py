"""Users from elsewhere: whose hashes are taken, that they can log in, and what a report says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import django.conf
import pytest
from argon2 import PasswordHasher
from click.testing import Result
from django.contrib.auth import hashers as django_hashers
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from passlib import hash as passlib_hash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import delete, event
from werkzeug.security import generate_password_hash

from keyturn.database import db
from keyturn.foreign_hashes import FLASK_SECURITY, SCHEMES, kept_form
from keyturn.passwords import Passwords
from keyturn.users.models import User
from tests.support.api import BOB, Api, assert_problem
from tests.support.database import rows

PASSWORD = "Grüße aus Köln 🐙"

Run = Callable[..., Result]


def of_django(hasher: type[Any], **costs: int) -> str:
    """A hash as Django stores it, at costs that suit a test."""
    if not django.conf.settings.configured:
        django.conf.settings.configure()
    cheap = type(hasher.__name__, (hasher,), costs)()
    return str(cheap.encode(PASSWORD, cheap.salt()))


# What each library makes of the password.
HASHES: dict[str, Callable[[], str]] = {
    "argon2-cffi": lambda: PasswordHasher(memory_cost=1024, time_cost=1).hash(PASSWORD),
    "bcrypt": lambda: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    "passlib argon2": lambda: passlib_hash.argon2.using(memory_cost=1024).hash(PASSWORD),
    "passlib bcrypt": lambda: passlib_hash.bcrypt.using(rounds=4).hash(PASSWORD),
    "passlib scrypt": lambda: passlib_hash.scrypt.using(rounds=4).hash(PASSWORD),
    "passlib pbkdf2_sha1": lambda: passlib_hash.pbkdf2_sha1.using(rounds=9).hash(PASSWORD),
    "passlib pbkdf2_sha256": lambda: passlib_hash.pbkdf2_sha256.using(rounds=9).hash(PASSWORD),
    "passlib pbkdf2_sha512": lambda: passlib_hash.pbkdf2_sha512.using(rounds=9).hash(PASSWORD),
    "Django pbkdf2_sha256": lambda: of_django(django_hashers.PBKDF2PasswordHasher, iterations=9),
    "Django pbkdf2_sha1": lambda: of_django(django_hashers.PBKDF2SHA1PasswordHasher, iterations=9),
    "Django argon2": lambda: of_django(django_hashers.Argon2PasswordHasher, memory_cost=1024),
    "Django bcrypt": lambda: of_django(django_hashers.BCryptPasswordHasher, rounds=4),
    "Django bcrypt_sha256": lambda: of_django(django_hashers.BCryptSHA256PasswordHasher, rounds=4),
    "Django scrypt": lambda: of_django(django_hashers.ScryptPasswordHasher, work_factor=1024),
    "Werkzeug scrypt": lambda: generate_password_hash(PASSWORD, "scrypt:1024:8:1"),
    "Werkzeug pbkdf2:sha1": lambda: generate_password_hash(PASSWORD, "pbkdf2:sha1:9"),
    "Werkzeug pbkdf2:sha256": lambda: generate_password_hash(PASSWORD, "pbkdf2:sha256:9"),
    "Werkzeug pbkdf2:sha512": lambda: generate_password_hash(PASSWORD, "pbkdf2:sha512:9"),
    # FastAPI-Users hashes with pwdlib, Supabase with Go's bcrypt, whose prefix is $2a$.
    "FastAPI-Users argon2": lambda: Argon2Hasher(memory_cost=1024).hash(PASSWORD),
    "FastAPI-Users bcrypt": lambda: BcryptHasher(rounds=4).hash(PASSWORD),
    "Supabase": lambda: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2a")).decode(),
    # As FastAPI-Users 15.0.5 hashed it by default.
    "FastAPI-Users": lambda: (
        "$argon2id$v=19$m=65536,t=3,p=4$IqlsEFyRl35kGTWNIQmj3A"
        "$xQ47Xeo4Mdnr5oQCFNzuTKNM0nr5YeHC8Osu9zOl8BY"
    ),
}

# As Flask-Security 5.9.2 hashed it, with this SECURITY_PASSWORD_SALT and costs that suit a test.
FLASK_SECURITY_SALT = "146585145368132386173505678016728509634"
FLASK_SECURITY_HASHES = {
    "argon2": "$argon2id$v=19$m=1024,t=1,p=1$sdZaizFGKKUUIiQEwPhf6w"
    "$qsNOi1LjW2yKwTxCIPQ46QzUOMG5RrVy321d1iMpicY",
    "bcrypt": "$2b$04$bQD9IBBkwqJsnHVEB.BPM.XeXQAh0KXEa43eLapxGUV8vEhcS0aGu",
    "pbkdf2_sha512": "$pbkdf2-sha512$100$8/5/L6U0RsiZkzIGYKz1Xg"
    "$uVIOHY/8rW..90CeAXTFs..rSjGAyefxRKOqzDt2ChM2DgLfAchUAqh2MrPCkcqLnZJG2y3jHp0..WOg/B0huQ",
}


@pytest.fixture
def run(app: Flask) -> Run:
    runner = app.test_cli_runner()

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return runner.invoke(args=["users", *arguments], input=stdin)

    return run


def user(number: int = 1, /, **fields: Any) -> dict[str, Any]:
    return {
        "email": f"user{number}@mail.example",
        "name": f"User {number}",
        "password_hash": "$2b$04$bQD9IBBkwqJsnHVEB.BPM.XeXQAh0KXEa43eLapxGUV8vEhcS0aGu",
        **fields,
    }


def json_lines(*users: Any) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in users)


def reported(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout))


def stored_hash(app: Flask, email: str) -> str:
    (found,) = (one for one in rows(app, User) if one.email == email)
    return found.password_hash


# --- hashes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", HASHES)
def test_a_user_logs_in_with_the_password_of_elsewhere_and_the_hash_becomes_argon2id(
    run: Run, api: Api, app: Flask, library: str
) -> None:
    ann = user(email="ann@mail.example", password_hash=HASHES[library]())
    assert run("import", "-", stdin=json_lines(ann)).exit_code == 0
    login = {"email": ann["email"], "password": PASSWORD}
    assert_problem(api.login({**login, "password": "wrong"}), 401, "invalid_credentials")
    assert api.login(login).status_code == 200
    assert stored_hash(app, ann["email"]).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert api.login(login).status_code == 200
    assert_problem(api.login({**login, "password": "wrong"}), 401, "invalid_credentials")


class TestFlaskSecurity:
    """It hashes an HMAC of the password, which no hash tells."""

    @pytest.fixture
    def settings(self, settings: dict[str, str]) -> dict[str, str]:
        return {**settings, "FLASK_SECURITY_PASSWORD_SALT": FLASK_SECURITY_SALT}

    @pytest.mark.parametrize("scheme", FLASK_SECURITY_HASHES)
    def test_its_users_log_in(self, run: Run, api: Api, app: Flask, scheme: str) -> None:
        ann = user(email="ann@mail.example", password_hash=FLASK_SECURITY_HASHES[scheme])
        result = run("import", "-", "--flask-security", stdin=json_lines(ann))
        assert result.exit_code == 0, result.output
        login = {"email": ann["email"], "password": PASSWORD}
        assert_problem(api.login({**login, "password": "wrong"}), 401, "invalid_credentials")
        assert api.login(login).status_code == 200
        assert stored_hash(app, ann["email"]).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert api.login(login).status_code == 200

    def test_what_is_exported_before_their_login_can_be_imported(self, run: Run, api: Api) -> None:
        ann = user(email="ann@mail.example", password_hash=FLASK_SECURITY_HASHES["argon2"])
        run("import", "-", "--flask-security", stdin=json_lines(ann))
        exported = run("export", "--with-hashes").stdout
        assert run("delete", ann["email"], "--yes").exit_code == 0
        assert reported(run("import", "-", "--json", stdin=exported))["created"] == 1
        assert api.login({"email": ann["email"], "password": PASSWORD}).status_code == 200


def test_without_its_salt_users_of_flask_security_are_refused(run: Run) -> None:
    result = run("import", "-", "--flask-security", stdin=json_lines(user()))
    assert result.exit_code == 5
    assert "FLASK_SECURITY_PASSWORD_SALT is not set" in result.stdout


def test_every_kind_of_hash_that_is_taken_can_be_checked() -> None:
    schemes = {Passwords()._context.identify(kept_form(make())) for make in HASHES.values()}
    assert schemes == set(SCHEMES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "known format"),
        ("!unusable", "known format"),
        ("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99", "known format"),
        ("sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", "known format"),
        ("pbkdf2:sha256$salt$00", "known format"),
        ("$6$rounds=5000$salt$" + "a" * 86, "known format"),
        ("$2x$04$" + "a" * 53, "known format"),
        ("$2b$04$bQD9IBBkwqJsnHVEB.BPM.XeXQAh0KXEa43eLapxGUV8vEhcS0aG", "known format"),
        ("$scrypt$x=4,r=8,p=1$AAAA$" + "A" * 43, "known format"),
        (f"{FLASK_SECURITY}{FLASK_SECURITY}$2b$04$" + "a" * 53, "known format"),
        ("pbkdf2_sha256$9$salt$AAAA", "malformed"),
        ("pbkdf2:sha256:0$salt$" + "00" * 32, "malformed"),
        ("scrypt:1000:8:1$salt$" + "00" * 64, "malformed"),
        ("scrypt:0:8:1$salt$" + "00" * 64, "malformed"),
        ("$scrypt$ln=99,r=8,p=1$AAAA$" + "A" * 43, "malformed"),
        ("$scrypt$ln=4,r=8,p=1$A$" + "A" * 43, "malformed"),
        ("$argon2id$v=0$m=64,t=1,p=1$AAAAAAAAAAA$" + "A" * 43, "malformed"),
        ("$argon2id$v=19$m=131073,t=1,p=1$AAAAAAAAAAA$" + "A" * 43, "too much"),
        ("$argon2id$v=19$m=65536,t=9,p=1$AAAAAAAAAAA$" + "A" * 43, "too much"),
        ("$argon2id$v=19$m=65536,t=1,p=17$AAAAAAAAAAA$" + "A" * 43, "too much"),
        ("bcrypt$$2b$15$bQD9IBBkwqJsnHVEB.BPM.XeXQAh0KXEa43eLapxGUV8vEhcS0aGu", "too much"),
        ("bcrypt_sha256$$2b$15$bQD9IBBkwqJsnHVEB.BPM.XeXQAh0KXEa43eLapxGUV8vEhcS0aGu", "too much"),
        ("scrypt:262144:8:1$salt$" + "00" * 64, "too much"),
        ("scrypt:16384:8:99$salt$" + "00" * 64, "too much"),
        ("pbkdf2_sha256$4000001$salt$" + "A" * 43 + "=", "too much"),
        ("pbkdf2:sha1:999999999$salt$" + "00" * 20, "too much"),
    ],
)
def test_a_hash_that_cannot_be_checked_or_not_at_a_fair_price_is_refused(
    text: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        kept_form(text)


@given(st.text(st.sampled_from("$,=:2aby01scryptpbkdf2argon2idv19mtpln_sha256"), max_size=60))
def test_any_text_is_a_hash_or_is_refused(text: str) -> None:
    try:
        kept = kept_form(text)
    except ValueError:
        return
    assert Passwords(hmac_key="key").can_verify(kept)


def test_a_kept_form_is_kept_as_it_is() -> None:
    for library, make in HASHES.items():
        kept = kept_form(make())
        assert kept_form(kept) == kept, library


def test_passwords_that_were_hashed_in_another_normal_form_are_right() -> None:
    passwords = Passwords()
    typed = "ﬁancée \uff21"
    for hashed in ("ﬁancée \uff21", "fiancée A", "fiance\u0301e A"):  # as it is, NFKC, NFKD
        old = bcrypt.hashpw(hashed.encode(), bcrypt.gensalt(4)).decode()
        verdict = passwords.verify(typed, old)
        assert verdict.right
        assert verdict.new_hash is not None
        assert passwords.verify("fiance\u0301e A", verdict.new_hash).right


def test_of_a_long_password_bcrypt_has_read_72_bytes() -> None:
    old = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert Passwords().verify("x" * 100, old).right
    assert not Passwords().verify("x" * 71, old).right


# --- files ----------------------------------------------------------------------------------------


def test_json_lines_and_csv_bring_all_that_is_kept_of_a_user(
    run: Run, app: Flask, tmp_path: Path
) -> None:
    known = {
        "id": "0d6c0a52-5f0f-4c5f-9d53-2b1a1f0d7c11",
        "created_at": "2019-05-04T12:00:00+02:00",
        "disabled_at": "2020-01-01T00:00:00Z",
    }
    first = tmp_path / "users.jsonl"
    first.write_text("\ufeff" + json_lines(user(1, **known)) + "\n \n" + json_lines(user(2)))
    second = tmp_path / "users.CSV"
    second.write_text(
        "\ufeffname,email,password_hash,created_at,disabled_at\n"
        f'"Lee, Ann",Ann@Mail.Example,{user()["password_hash"]},2019-05-04 10:00:00+00,\n'
    )
    assert reported(run("import", str(first), "--json"))["created"] == 2
    assert reported(run("import", str(second), "--json"))["created"] == 1
    found = {one.email: one for one in rows(app, User)}
    one, ann = found["user1@mail.example"], found["ann@mail.example"]
    assert str(one.id) == known["id"]
    assert one.created_at.isoformat() == "2019-05-04T10:00:00+00:00"
    assert one.disabled_at is not None
    assert one.disabled_at.isoformat() == "2020-01-01T00:00:00+00:00"
    assert (ann.name, ann.created_at, ann.disabled_at) == ("Lee, Ann", one.created_at, None)
    assert found["user2@mail.example"].disabled_at is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "Not a JSON text"),
        (b'{"email": "\xff"}', "Not a JSON text"),
        (b"[1]", "Invalid input type"),
        (json_lines(user(hash="x")), "hash: Unknown field."),
        (json_lines({"email": "ann@mail.example"}), "name: Missing data"),
        (json_lines(user(email="ann@")), "email: "),
        (json_lines(user(name="\x1b[2J")), "name: Contains a control character."),
        (json_lines(user(name="")), "name: "),
        (json_lines(user(id=1)), "id: "),
        (json_lines(user(password_hash="plain")), "password_hash: Not a password hash"),
        (json_lines(user(password_hash=None)), "password_hash: Field may not be null."),
        (json_lines(user(created_at="2019-05-04T12:00:00")), "created_at: "),
        (json_lines(user(created_at="0001-01-01T00:00:00+14:00")), "created_at: "),
        (json_lines(user(disabled_at=True)), "disabled_at: "),
    ],
)
def test_a_line_that_tells_of_no_user_is_refused_and_the_others_are_taken(
    run: Run, app: Flask, line: str | bytes, said: str
) -> None:
    text = line.encode() if isinstance(line, str) else line + b"\n"
    before, after = json_lines(user(8)).encode(), json_lines(user(9)).encode()
    result = run("import", "-", "--json", stdin=before + text + after)
    assert result.exit_code == 5, result.output
    report = reported(result)
    assert (report["created"], report["invalid"]) == (2, 1)
    (skipped,) = report["skipped"]
    assert (skipped["line"], skipped["outcome"]) == (2, "invalid")
    assert said in skipped["detail"]
    assert len(rows(app, User)) == 3 + 2


@pytest.mark.parametrize(
    "header",
    [
        "",
        "email,name",
        "email,name,password_hash,phone",
        "email,name,password_hash,email",
        '"',
        "\xff",
    ],
)
def test_a_csv_must_begin_with_the_names_of_its_columns(run: Run, header: str) -> None:
    result = run("import", "-", "--format", "csv", stdin=header.encode("latin-1") + b"\n1,2,3\n")
    assert result.exit_code == 2
    assert "the first line must name the columns" in result.output


@pytest.mark.parametrize("broken", [b'"', b"\xff\n", b"more,cells,than,columns,there\n"])
def test_of_a_csv_that_breaks_what_came_before_is_taken(
    run: Run, app: Flask, broken: bytes
) -> None:
    good = f"User,user1@mail.example,{user()['password_hash']}\n"
    text = f"name,email,password_hash\n{good}".encode() + broken
    result = run("import", "-", "--format", "csv", "--json", stdin=text)
    assert result.exit_code == 5
    assert reported(result)["skipped"][0]["line"] == 3
    assert reported(result)["created"] == 1


def test_no_report_shows_a_hash(run: Run) -> None:
    secret = "pbkdf2_sha256$9$salt$AAAA"
    assert secret not in run("import", "-", stdin=json_lines(user(password_hash=secret))).output


# --- what becomes of them -------------------------------------------------------------------------


def test_who_is_there_already_stays_as_they_are(run: Run, api: Api, app: Flask) -> None:
    text = json_lines(user(1), user(2, email="BOB@gmail.com", name="Mallory"))
    result = run("import", "-", "--json", stdin=text)
    assert result.exit_code == 0
    assert reported(result)["skipped"] == [
        {"line": 2, "outcome": "exists", "email": "bob@gmail.com", "detail": ""}
    ]
    assert api.login(BOB).status_code == 200
    again = run("import", "-", stdin=text)
    assert again.exit_code == 0
    assert "created: 0, exists: 2, duplicate: 0, id taken: 0, invalid: 0" in again.stdout
    assert len(rows(app, User)) == 3 + 1


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_a_dry_run_tells_what_a_real_one_does_and_adds_nobody(
    run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch, batch: int, *, dry_run: bool
) -> None:
    monkeypatch.setattr("keyturn.users.imports.BATCH", batch)
    with app.app_context():
        bobs_id = str(db.session.query(User.id).filter_by(email=BOB["email"]).scalar())
    text = json_lines(
        user(1, id="0d6c0a52-5f0f-4c5f-9d53-2b1a1f0d7c11"),
        user(2, email="USER1@mail.example"),
        user(3, id="0d6c0a52-5f0f-4c5f-9d53-2b1a1f0d7c11"),
        user(4, id=bobs_id),
        user(5, email=BOB["email"]),
        user(6),
        user(7, name=""),
    )
    result = run("import", "-", "--json", *(["--dry-run"] if dry_run else []), stdin=text)
    assert result.exit_code == 5
    report = reported(result)
    assert [(one["line"], one["outcome"]) for one in report["skipped"]] == [
        (2, "duplicate"),
        (3, "duplicate"),
        (4, "id_taken"),
        (5, "exists"),
        (7, "invalid"),
    ]
    assert report["skipped"][0]["detail"] == "See line 1."
    assert report["created"] == 2
    added = {one.email for one in rows(app, User) if one.email.endswith("mail.example")}
    assert added == (set() if dry_run else {"user1@mail.example", "user6@mail.example"})


def test_a_batch_is_added_as_a_whole_or_not_at_all(
    run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn.users.imports.BATCH", 2)
    text = json_lines(*map(user, range(1, 6)))
    sent = []

    def break_down(*event_arguments: Any) -> None:
        sent.append(event_arguments[2].partition(" (")[0])
        second = sent.count("INSERT INTO users") == 2
        if second and sent[-1].startswith("SELECT"):  # half done
            raise KeyboardInterrupt

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", break_down)
    assert run("import", "-", stdin=text).exit_code == 1
    event.remove(engine, "before_cursor_execute", break_down)
    assert len(rows(app, User)) == 3 + 2
    assert reported(run("import", "-", "--json", stdin=text))["created"] == 3
    assert len(rows(app, User)) == 3 + 5


def test_what_is_exported_can_be_imported(run: Run, app: Flask, tmp_path: Path) -> None:
    run("import", "-", stdin=json_lines(user(1, disabled_at="2020-01-01T00:00:00Z")))
    exported = run("export", "--with-hashes")
    assert exported.exit_code == 0
    before = [vars(one) for one in rows(app, User)]
    with app.app_context():
        db.session.execute(delete(User))
        db.session.commit()
    path = tmp_path / "users.jsonl"
    path.write_text(exported.stdout)
    assert reported(run("import", str(path), "--json"))["created"] == 4
    assert run("export", "--with-hashes").stdout == exported.stdout
    assert len(before) == 4


def test_an_export_holds_no_hashes_unless_asked_for(run: Run) -> None:
    lines = [json.loads(line) for line in run("export").stdout.splitlines()]
    assert {line["name"] for line in lines} == {"Bob", "John", "Gary"}
    assert all(
        line.keys() == {"id", "email", "name", "created_at", "disabled_at"} for line in lines
    )
