"""The guard in a Flask service that is not Keyturn."""

import subprocess
import sys
from typing import Any

import pytest
from flask import Blueprint, Flask, Response
from flask.testing import FlaskClient
from flask.views import MethodView

from keyturn.bearer import Bearer, StaticKeys, current_claims
from tests.support.api import assert_problem
from tests.support.server import ROOT
from tests.support.targets import AUDIENCE, ISSUER, Target, service_target
from tests.support.tokens import known_key

# What `pip install flask "pyjwt[crypto]"` brings.
ENOUGH = {
    *("flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "click", "blinker"),
    *("jwt", "cryptography", "cffi", "_cffi_backend", "_openssl", "keyturn"),
}


@pytest.fixture
def bearer() -> Bearer:
    keys = StaticKeys(known_key("ES256").jwks())
    return Bearer(issuer=ISSUER, audience=AUDIENCE, keys=keys, revocations={"ended"})


@pytest.fixture
def shop(bearer: Bearer) -> Flask:
    app = Flask("shop")
    admin = Blueprint("admin", __name__, url_prefix="/admin")

    @app.get("/")
    def home() -> str:
        return "open"

    @app.get("/orders")
    @bearer.required
    def orders() -> dict[str, Any]:
        """List the orders."""
        return dict(current_claims)

    @app.post("/orders")
    @bearer.required(scopes=["orders:write", "orders:read"])
    def order() -> tuple[str, int]:
        return "", 201

    @admin.get("/<name>")
    def show(name: str) -> dict[str, str]:
        return {name: current_claims["sub"]}

    @admin.post("/<name>")
    def change(name: str) -> str:
        return name

    bearer.protect(admin, scopes=["admin"])
    app.register_blueprint(admin)
    return app


@pytest.fixture
def client(shop: Flask) -> FlaskClient:
    return shop.test_client()


@pytest.fixture
def issuer() -> Target:
    """Makes tokens that the shop takes."""
    return service_target("ES256")


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_guarded_view_sees_the_claims_of_its_caller(client: FlaskClient, issuer: Target) -> None:
    answer = client.get("/orders", headers=bearing(issuer.token(role="cook")))
    assert answer.get_json() == {**issuer.claims, "role": "cook"}


def test_without_a_token_the_challenge_has_no_error(client: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Basic Ym9iOmJvYlBhc3M="}):
        answer = client.get("/orders", headers=headers)
        assert_problem(answer, 401, "missing_token")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="keyturn"'


def test_a_token_anywhere_else_is_no_token(client: FlaskClient, issuer: Target) -> None:
    token = issuer.token()
    client.set_cookie("access_token", token)
    answer = client.get(f"/orders?access_token={token}", headers={"X-Access-Token": token})
    assert_problem(answer, 401, "missing_token")


def test_a_view_that_is_not_guarded_is_open_and_has_no_claims(shop: Flask) -> None:
    assert shop.test_client().get("/").text == "open"
    with shop.test_request_context("/"), pytest.raises(RuntimeError, match="not guarded"):
        current_claims["sub"]


def test_a_token_without_the_scopes_is_403_and_told_which(
    client: FlaskClient, issuer: Target
) -> None:
    for claims in ({}, {"scope": ""}, {"scope": "orders:read"}, {"scope": "orders:write orders:r"}):
        answer = client.post("/orders", headers=bearing(issuer.token(**claims)))
        assert_problem(answer, 403, "insufficient_scope")
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer realm="keyturn", error="insufficient_scope", '
            'error_description="The token lacks a scope that is needed here.", '
            'scope="orders:read orders:write"'
        )


def test_a_token_with_all_scopes_and_more_is_let_in(client: FlaskClient, issuer: Target) -> None:
    token = issuer.token(scope="profile orders:write orders:read")
    assert client.post("/orders", headers=bearing(token)).status_code == 201


def test_a_token_of_an_ended_login_is_refused(client: FlaskClient, issuer: Target) -> None:
    answer = client.get("/orders", headers=bearing(issuer.token(sid="ended")))
    assert_problem(answer, 401, "token_revoked")


def test_every_view_of_a_protected_blueprint_is_guarded(
    client: FlaskClient, issuer: Target
) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert client.open("/admin/x", method=method).status_code == 401
        answer = client.open("/admin/x", method=method, headers=bearing(issuer.token()))
        assert answer.status_code == 403
    answer = client.get("/admin/x", headers=bearing(issuer.token(scope="admin")))
    assert answer.get_json() == {"x": issuer.claims["sub"]}


def test_a_browser_may_ask_for_the_options_of_a_guarded_route(client: FlaskClient) -> None:
    for path in ("/orders", "/admin/x"):
        answer = client.options(path)
        assert answer.status_code == 200
        assert "POST" in answer.headers["Allow"]


def test_options_that_a_view_answers_itself_are_guarded(shop: Flask, bearer: Bearer) -> None:
    own = Blueprint("own", __name__)
    own.add_url_rule("/own", view_func=lambda: "secret", endpoint="own", methods=["OPTIONS"])
    bearer.protect(own)
    shop.register_blueprint(own)
    assert shop.test_client().options("/own").status_code == 401


def test_a_whole_app_can_be_protected(issuer: Target, bearer: Bearer) -> None:
    app = Flask("closed")
    app.add_url_rule("/", view_func=lambda: current_claims["sub"], endpoint="home")
    bearer.protect(app)
    client = app.test_client()
    assert_problem(client.get("/"), 401, "missing_token")
    assert client.get("/", headers=bearing(issuer.token())).text == issuer.claims["sub"]


def test_a_class_of_views_can_be_guarded(issuer: Target, bearer: Bearer) -> None:
    class Orders(MethodView):
        decorators = [bearer.required]  # noqa: RUF012 - Flask's own form

        def get(self) -> str:
            return str(current_claims["sub"])

    app = Flask("shop")
    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    client = app.test_client()
    assert_problem(client.get("/orders"), 401, "missing_token")
    assert client.get("/orders", headers=bearing(issuer.token())).text == issuer.claims["sub"]


def test_a_guarded_view_keeps_its_name_and_doc(shop: Flask) -> None:
    assert shop.view_functions["orders"].__doc__ == "List the orders."


def test_a_handler_of_the_apps_own_does_not_hide_a_refusal(shop: Flask) -> None:
    @shop.errorhandler(Exception)
    def oops(_: Exception) -> tuple[str, int]:
        return "oops", 500

    assert_problem(shop.test_client().get("/orders"), 401, "missing_token")


def test_what_the_view_raises_is_the_views_affair(
    shop: Flask, bearer: Bearer, issuer: Target
) -> None:
    @shop.get("/teapot")
    @bearer.required
    def teapot() -> Response:
        raise LookupError("tea")

    shop.testing = True
    with pytest.raises(LookupError, match="tea"):
        shop.test_client().get("/teapot", headers=bearing(issuer.token()))


# Run where nothing but this can be imported.
ALONE = f"""
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {ENOUGH}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing())
from keyturn.bearer import Bearer, current_claims
print(*(name for name in sys.modules if name.startswith("keyturn.")))
"""


def test_the_guard_needs_nothing_but_flask_and_pyjwt() -> None:
    """Neither SQLAlchemy, marshmallow, passlib nor argon2, nor any other part of Keyturn."""
    run = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, check=True, text=True, cwd=ROOT
    )
    loaded = run.stdout.split()
    assert "keyturn.bearer" in loaded
    assert all(name.startswith("keyturn.bearer") for name in loaded)
