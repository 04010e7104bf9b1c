"""Is it alive, and may it be sent requests? For load balancers and the container's health check."""

from functools import cache
from pathlib import Path

from flask import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from keyturn.database import db
from keyturn.errors import UnavailableError
from keyturn.http.answer import answers, public
from keyturn.services import services

blueprint = Blueprint("health", __name__)

RETRY_AFTER = 5

MIGRATIONS = Path("migrations/versions")  # in the folder that a server is started in


class HealthSchema(Schema):
    """That all is well."""

    status = fields.String(required=True, validate=validate.OneOf(["ok"]))


@blueprint.get("/livez")
@public
@answers(HealthSchema)
def alive() -> dict[str, str]:
    """Answer without asking anything: the process serves."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@public
@answers(HealthSchema)
def ready() -> dict[str, str]:
    """Answer whether the database is there, has all migrations, and keys that can be used."""
    try:
        with db.engine.connect() as connection:
            found = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    except SQLAlchemyError as error:
        raise UnavailableError(
            "The database cannot be asked, or has no migrations yet.", retry_after=RETRY_AFTER
        ) from error
    if not found or outdated_revisions().intersection(found):
        raise UnavailableError("The database lacks migrations.", retry_after=RETRY_AFTER)
    if services().current_signer().fault is not None:
        raise UnavailableError("The signing keys cannot be used.", retry_after=RETRY_AFTER)
    return {"status": "ok"}


@cache
def outdated_revisions() -> frozenset[str]:
    """Return the revisions of a database that lacks migrations which belong to this code.

    One that this code does not know is of a newer release, for which the database is migrated while
    this one still serves.
    """
    # By the numbers in the names of their files: alembic, to ask them, takes four megabytes.
    known = sorted(file.name.partition("_")[0] for file in MIGRATIONS.glob("[0-9]*.py"))
    return frozenset(known[:-1])
