"""The app factory: puts the parts together."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from keyturn import auth, throttle, users  # noqa: F401 - models register themselves
from keyturn.account import routes as account_routes
from keyturn.audit.actor import by_client
from keyturn.auth import routes as auth_routes
from keyturn.config import Settings
from keyturn.database import db, engine_options, prepare
from keyturn.downstream import routes as downstream_routes
from keyturn.errors import ConfigurationError
from keyturn.http import answer, cors, docs, problems
from keyturn.ops import health, logs, reporting
from keyturn.services import EXTENSION, Services
from keyturn.tokens import routes as keys_routes
from keyturn.users import routes as users_routes

BLUEPRINTS = (
    auth_routes.blueprint,
    users_routes.blueprint,
    downstream_routes.blueprint,
    keys_routes.blueprint,
    health.blueprint,
    docs.blueprint,
)


class _NoSessions(SessionInterface):
    """Nothing here uses Flask's sessions: none is looked for in a request, and none is saved."""

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002 - Flask's signature
        return NullSession()

    def is_null_session(self, obj: object) -> bool:  # noqa: ARG002 - Flask's signature
        return True


class _App(Flask):
    session_interface = _NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Leave it as it is: nothing here is a coroutine, and Flask would look at each call."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the routes to the path that is asked for: no route here depends on the host.

        Nor does any redirect, which would have to name it.
        """
        if request is None:
            return None
        return self.url_map.bind(
            "",
            script_name=request.root_path,
            path_info=request.path,
            default_method=request.method,
        )


def create_app(overrides: Mapping[str, str] | None = None) -> Flask:
    """Build the service from the environment; `overrides` win over it.

    Raises `ConfigurationError` where a setting is missing or wrong, or the database cannot be used.
    """
    settings = Settings.load({**os.environ, **(overrides or {})})
    logs.configure(level=settings.log_level, readable=not settings.is_production)
    app = _App(__name__, static_folder=None)
    if app.debug and settings.is_production:
        raise ConfigurationError("FLASK_DEBUG is refused where KEYTURN_ENV is production")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
    )
    app.extensions[EXTENSION] = known = Services.of(settings)
    app.wsgi_app = by_client(app.wsgi_app)  # type: ignore[method-assign,assignment]
    app.url_map.merge_slashes = False  # a path that is not ours is 404, not a redirect
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    observe = _metrics(app, known) if settings.metrics_port else None
    reporting.init_app(app, believe_ids=settings.trusted_proxies > 0, observe=observe)
    db.init_app(app)
    with app.app_context():
        prepare(db.engine, settings)
    answer.init_app(app)
    problems.init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if settings.account_page == "on":
        app.register_blueprint(account_routes.blueprint)
    cors.init_app(app, settings.cors_origins)
    return app


def _metrics(app: Flask, known: Services) -> reporting.Observer:
    from keyturn.ops import metrics  # noqa: PLC0415 - loaded only where somebody asks for them

    metrics.serve_at(app, known.settings.metrics_port)
    known.passwords.queue.on_change = metrics.observe_hashing
    return metrics.observe
