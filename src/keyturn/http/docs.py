"""`/openapi.json`, and `/docs`: the same as an interactive page, with no request to elsewhere."""

from functools import cache
from pathlib import Path
from typing import cast

import flask_swagger_ui
from flask import Blueprint, Flask, Response, abort, current_app, json, send_from_directory

from keyturn.http.answer import public
from keyturn.http.openapi import document

blueprint = Blueprint("docs", __name__)

_PAGES = Path(__file__).with_name("pages")
_SWAGGER_UI = Path(flask_swagger_ui.__file__).with_name("dist")
_ASSETS = {
    "start.js": _PAGES,
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
def openapi() -> Response:
    """Answer the OpenAPI 3.1 document of all routes."""
    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined] # noqa: SLF001 - werkzeug's own way to unwrap
    return current_app.response_class(_rendered(app), mimetype="application/json")


@cache
def _rendered(app: Flask) -> str:
    with app.app_context():
        return json.dumps(document(app))


@blueprint.get("/docs")
@public
def page() -> Response:
    """Show the document as a page that sends requests."""
    response = send_from_directory(_PAGES, "docs.html")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/docs/<asset>")
@public
def asset(asset: str) -> Response:
    """Serve what the page is made of."""
    if asset not in _ASSETS:
        abort(404)
    return send_from_directory(_ASSETS[asset], asset, max_age=3600)
