"""The service as the flask command sees it: with its commands, which a server never loads."""

import sys
from collections.abc import Mapping

from flask import Flask
from flask_migrate import Migrate
from flask_migrate.cli import db as migrations_cli

from keyturn.app import create_app as create_server
from keyturn.audit.cli import cli as audit_cli
from keyturn.auth.cli import cli as sessions_cli
from keyturn.database import db
from keyturn.downstream.cli import cli as services_cli
from keyturn.errors import ConfigurationError
from keyturn.ops.cli import copy
from keyturn.ops.doctor import doctor
from keyturn.throttle.cli import cli as throttle_cli
from keyturn.tokens.cli import cli as keys_cli
from keyturn.users.cli import cli as users_cli

migrate = Migrate()


def create_app(overrides: Mapping[str, str] | None = None) -> Flask:
    """Build the service, as `keyturn.app.create_app` does, with its commands."""
    app = create_server(overrides)
    migrate.init_app(app, db)
    migrations_cli.add_command(copy)
    for command in (users_cli, sessions_cli, services_cli, keys_cli, audit_cli, throttle_cli):
        app.cli.add_command(command)
    app.cli.add_command(doctor)
    return app


def load() -> Flask:
    """Build it for the flask command, which ends here where it cannot be built."""
    try:
        return create_app()
    except ConfigurationError as error:
        sys.exit(f"keyturn cannot start: {error}")
