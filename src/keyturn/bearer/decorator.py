"""The guard as Flask knows it: a decorator for views, a check for a whole blueprint."""

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, cast, overload

from flask import Blueprint, Flask, Response, g, json, request
from werkzeug.local import LocalProxy

from keyturn.bearer.errors import BearerError, problem_document
from keyturn.bearer.guard import Guard

View = Callable[..., Any]


class Bearer(Guard):
    """Guards views of a Flask service with the access tokens that Keyturn issues.

    What it refuses is answered as `application/problem+json` with the challenge of RFC 6750
    section 3, and the view is not called.
    """

    @overload
    def required(self, view: View) -> View: ...

    @overload
    def required(self, *, scopes: Collection[str]) -> Callable[[View], View]: ...

    def required(self, view: View | None = None, *, scopes: Collection[str] = ()) -> Any:
        """Guard a view: `@bearer.required`, or `@bearer.required(scopes=["orders:write"])`."""
        return self._guarding(scopes)(view) if view else self._guarding(scopes)

    def protect(self, blueprint: Blueprint | Flask, *, scopes: Collection[str] = ()) -> None:
        """Guard every view of a blueprint, or of an app.

        As with a guarded view, the OPTIONS that Flask answers by itself is not: a browser asks it
        without a token before it sends one.
        """
        blueprint.before_request(lambda: None if _is_answered_by_flask() else self._refusal(scopes))

    def _guarding(self, scopes: Collection[str]) -> Callable[[View], View]:
        def decorate(view: View) -> View:
            @wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                refusal = self._refusal(scopes)
                return view(*args, **kwargs) if refusal is None else refusal

            return guarded

        return decorate

    def _refusal(self, scopes: Collection[str]) -> Response | None:
        """Check the request's token and keep its claims, or return why not."""
        try:
            g.keyturn_claims = self.check(request.headers.get("Authorization"), scopes)
        except BearerError as error:
            return _answer(error)
        return None


def _answer(error: BearerError) -> Response:
    document = problem_document(error.status, error.code, error.detail)
    return Response(
        json.dumps(document), error.status, error.headers(), mimetype="application/problem+json"
    )


def _is_answered_by_flask() -> bool:
    automatic = getattr(request.url_rule, "provide_automatic_options", False)
    return request.method == "OPTIONS" and automatic is True


def _claims() -> Mapping[str, Any]:
    try:
        return cast("Mapping[str, Any]", g.keyturn_claims)
    except AttributeError:
        raise RuntimeError("this view is not guarded: no token was checked") from None


current_claims: Mapping[str, Any] = cast("Mapping[str, Any]", LocalProxy(_claims))
"""The claims of the token that the current request was let in with."""
