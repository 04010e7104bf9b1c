"""`flask users import` and `export`: many users at once, with their password hashes."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import click

from keyturn import clock
from keyturn.console import REFUSED, USAGE, CommandError, command, json_option, show
from keyturn.database import db
from keyturn.foreign_hashes import FLASK_SECURITY
from keyturn.services import services
from keyturn.users import accounts, imports, records
from keyturn.users.imports import Outcome, Result
from keyturn.users.records import Line

READERS: dict[str, Callable[[IO[bytes]], Iterator[Line]]] = {
    "jsonl": records.read_json_lines,
    "csv": records.read_csv,
}

# Who was there before is there, as was asked.
FULFILLED = {Outcome.CREATED, Outcome.EXISTS}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--format", "kind", type=click.Choice([*READERS]), help="If FILE's name does not tell."
)
@click.option(
    "--flask-security",
    is_flag=True,
    help="The hashes are Flask-Security's, made with its SECURITY_PASSWORD_SALT.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would become of each line.")
@json_option
@command
def import_users(
    file: str, kind: str | None, *, flask_security: bool, dry_run: bool, as_json: bool
) -> None:
    r"""Add users from elsewhere, who log in with the password they have there.

    FILE is JSON lines, or CSV with a header line; - is standard input. A line has email, name and
    password_hash, and may have id, created_at and disabled_at. Hashes are argon2, bcrypt, scrypt or
    PBKDF2 as passlib, Django or Werkzeug write them; docs/import.md shows how to get at them.

    Of each thousand lines, all users that can be added are, or none. Whoever is there already is
    passed over and stays as they are, so the same file may come again. A line that is refused is
    told, with the reason, and ends the command with 5.

    \b
    flask users import users.jsonl --dry-run
    psql --csv -c 'SELECT …' | flask users import - --format csv
    """
    with click.open_file(file, "rb") as stream:
        total = _count(stream)
        lines = _verifiable(_lines(file, stream, kind), double_hashed=flask_security)
        results = imports.add(db.session(), lines, now=clock.now(), dry_run=dry_run)
        counts, skipped = _sorted_out(results, total)
    _report(counts, skipped, as_json=as_json)
    if counts.keys() - FULFILLED:
        raise CommandError("Not every line could be taken.", REFUSED)


def _count(stream: IO[bytes]) -> int | None:
    if not stream.seekable():
        return None
    count = sum(1 for _ in stream)
    stream.seek(0)
    return count


def _lines(file: str, stream: IO[bytes], kind: str | None) -> Iterator[Line]:
    by_name = "csv" if Path(file).suffix.lower() == ".csv" else "jsonl"
    try:
        return READERS[kind or by_name](stream)
    except ValueError as error:
        raise CommandError(f"{file}: {error}", USAGE) from error


def _verifiable(lines: Iterator[Line], *, double_hashed: bool) -> Iterator[Line]:
    """Refuse what this service could not check with its settings."""
    prefix = FLASK_SECURITY if double_hashed else ""
    passwords = services().passwords
    for line in lines:
        if line.user is None:
            yield line
            continue
        kept = line.user["password_hash"]
        kept = kept if kept.startswith(prefix) else f"{prefix}{kept}"
        if passwords.can_verify(kept):
            yield replace(line, user={**line.user, "password_hash": kept})
        else:
            yield Line(line.number, fault="password_hash: FLASK_SECURITY_PASSWORD_SALT is not set.")


def _sorted_out(
    results: Iterator[Result], total: int | None
) -> tuple[Counter[Outcome], list[Result]]:
    """Count what became of the lines, and keep what is to be told, while a bar shows how far."""
    counts: Counter[Outcome] = Counter()
    skipped = []
    with click.progressbar(results, total, label="Importing users", file=sys.stderr) as progress:
        for result in progress:
            counts[result.outcome] += 1
            if result.outcome is not Outcome.CREATED:
                skipped.append(result)
    return counts, skipped


def _report(counts: Counter[Outcome], skipped: list[Result], *, as_json: bool) -> None:
    by_outcome = {outcome.value: counts[outcome] for outcome in Outcome}
    rows = [asdict(result) for result in skipped]
    if as_json:
        click.echo(json.dumps({**by_outcome, "skipped": rows}))
        return
    show(rows, as_json=False)
    click.echo(", ".join(f"{outcome.replace('_', ' ')}: {n}" for outcome, n in by_outcome.items()))


@click.command("export")
@click.option("--with-hashes", is_flag=True, help="Password hashes as well, to import them again.")
@command
def export_users(*, with_hashes: bool) -> None:
    r"""Print all users as JSON lines, oldest first.

    With password hashes, the lines can be imported again. Keep such a file as the database itself.

    \b
    flask users export | jq -r .email
    (umask 077; flask users export --with-hashes > users.jsonl)
    """
    for line in records.json_lines(accounts.list_all(db.session()), with_hashes=with_hashes):
        click.echo(line)
