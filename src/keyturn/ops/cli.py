"""`flask db copy`: the operator's way from one database to another."""

import sys
from dataclasses import replace

import click
from alembic import command as alembic
from flask import current_app
from sqlalchemy import URL, Engine

from keyturn.console import USAGE, CommandError, command, json_option, show
from keyturn.database import engine_of
from keyturn.ops import copying
from keyturn.parsing import database_url
from keyturn.services import services


@click.command("copy")
@click.option("--to", "target", metavar="URL", required=True, help="Where to: a SQLAlchemy URL.")
@json_option
@command
def copy(target: str, *, as_json: bool) -> None:
    r"""Copy everything to another database, for DATABASE_URL to name from then on.

    The other database gets its tables here; it must hold no rows yet. All is copied or nothing, and
    compared by counts and digests. Stop Keyturn first: what changes during the copy stays behind.
    With the same secrets, everybody stays logged in.

    \b
    flask db copy --to postgresql+psycopg://keyturn@db.example.com/keyturn
    flask db copy --to sqlite:////var/lib/keyturn/keyturn.db
    """
    # A statement may take as long as it takes: nobody waits for an answer.
    here = replace(services().settings, postgres_statement_timeout=0)
    there = replace(here, database_url=_read(target))
    if here.database_url == there.database_url:
        raise CommandError("Source and target are the same.", USAGE)
    with engine_of(here, said="DATABASE_URL") as source, engine_of(there, said="--to") as goal:
        _migrate(goal)
        total = copying.count(source)
        with click.progressbar(length=total, label="Copying rows", file=sys.stderr) as progress:
            digests = copying.copy(source, goal, advance=progress.update)
    rows = [{"table": name, "rows": one.rows, "digest": str(one)} for name, one in digests.items()]
    show(rows, as_json=as_json)


def _read(target: str) -> URL:
    try:
        return database_url(target)
    except ValueError as error:
        raise CommandError(f"--to {error}", USAGE) from error


def _migrate(engine: Engine) -> None:
    config = current_app.extensions["migrate"].migrate.get_config()
    config.attributes["engine"] = engine
    alembic.upgrade(config, "head")
