"""The document you read: as JSON, and as an interactive page with no request to elsewhere."""

from functools import cache
from pathlib import Path
from typing import cast

import flask_swagger_ui
from flask import Blueprint, Flask, Response, current_app, json, send_from_directory

from keyturn.errors import UnknownRouteError
from keyturn.http.answer import public
from keyturn.http.contract import Answer, sends

blueprint = Blueprint("docs", __name__)

_PAGES = Path(__file__).with_name("pages")
_SWAGGER_UI = Path(flask_swagger_ui.__file__).with_name("dist")
_ASSETS = {
    "start.js": _PAGES,
    "docs.css": _PAGES,
    "swagger-ui.css": _SWAGGER_UI,
    "swagger-ui-bundle.js": _SWAGGER_UI,
    "favicon-32x32.png": _SWAGGER_UI,
}

# Everything from here, nothing inline; Swagger UI draws its icons from data: URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
@public
@sends(Answer(media_type="application/json"))
def openapi() -> Response:
    """Get this document."""
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined] # noqa: SLF001 - werkzeug's own way to unwrap
    return current_app.response_class(_rendered(app), mimetype="application/json")


@cache
def _rendered(app: Flask) -> str:
    from keyturn.http.openapi import document  # noqa: PLC0415 - few processes are ever asked

    with app.app_context():
        return json.dumps(document(app), sort_keys=False)  # in the order of the code


@blueprint.get("/docs")
@public
@sends(Answer(media_type="text/html"))
def page() -> Response:
    """Show this document as a page that sends requests."""
    response = _file(_PAGES, "docs.html")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/docs/<asset>")
@public
@sends(Answer(media_type="*/*"))
def asset(asset: str) -> Response:
    """Get what the page is made of."""
    if asset not in _ASSETS:
        raise UnknownRouteError
    return _file(_ASSETS[asset], asset, max_age=3600)


def _file(folder: Path, name: str, max_age: int | None = None) -> Response:
    # Whole or not at all: parts (RFC 9110 section 14) would be more answers to promise.
    return send_from_directory(folder, name, max_age=max_age, conditional=False)
