"""Is it alive, and may it be sent requests? For load balancers and the container's health check."""

from functools import cache

from alembic.script import ScriptDirectory
from flask import Blueprint, current_app
from marshmallow import Schema, fields, validate
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from keyturn.database import db
from keyturn.errors import UnavailableError
from keyturn.http.answer import answers, public
from keyturn.services import services

blueprint = Blueprint("health", __name__)

RETRY_AFTER = 5


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


def outdated_revisions() -> frozenset[str]:
    """Return the revisions of a database that lacks migrations which belong to this code.

    One that this code does not know is of a newer release, for which the database is migrated while
    this one still serves.
    """
    return _outdated_in(str(current_app.extensions["migrate"].directory))


@cache
def _outdated_in(directory: str) -> frozenset[str]:
    scripts = ScriptDirectory(directory)
    known = {script.revision for script in scripts.walk_revisions()}
    return frozenset(known.difference(scripts.get_heads()))
