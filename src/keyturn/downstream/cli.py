"""`flask services`: the operator's way to service tokens."""

import click
from flask.cli import AppGroup

from keyturn import clock
from keyturn.console import command, json_option, show
from keyturn.database import db
from keyturn.downstream import credentials
from keyturn.downstream.schemas import NewServiceSchema
from keyturn.http.schema import load

cli = AppGroup("services", help="Let other services ask about tokens and ended logins.")


@cli.command("create")
@click.argument("name")
@json_option
@command
def create(name: str, *, as_json: bool) -> None:
    r"""Make a service token. It is shown this once; Keyturn keeps only its digest.

    \b
    flask services create orders
    flask services create orders --json | jq -r '.[0].token' > orders.token
    """
    service = load(NewServiceSchema(), {"name": name})
    token = credentials.create(db.session(), **service, now=clock.now())
    show([{**service, "token": token}], as_json=as_json)


@cli.command("list")
@json_option
@command
def list_services(*, as_json: bool) -> None:
    """List the services that have a token."""
    known = credentials.list_all(db.session())
    rows = [{"name": one.name, "created": one.created_at.isoformat()} for one in known]
    show(rows, as_json=as_json)


@cli.command("revoke")
@click.argument("name")
@command
def revoke(name: str) -> None:
    r"""Revoke a service's token, at once. To change one, let two overlap under two names.

    \b
    flask services revoke orders
    """
    credentials.revoke(db.session(), name, now=clock.now())
    click.echo(f"Revoked the token of {name}.")
