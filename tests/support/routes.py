"""The routes of the API: what programs call. Pages for people have tests of their own."""

from collections.abc import Iterator

from flask import Flask
from werkzeug.routing import Rule

from keyturn.http.contract import contract_of


def api_rules(app: Flask) -> Iterator[Rule]:
    """The rules of the URL map but those of pages for people."""
    for rule in app.url_map.iter_rules():
        if contract_of(app.view_functions[rule.endpoint]).is_api:
            yield rule
