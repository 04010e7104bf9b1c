"""Keyturn in a worker that fails, if asked to, after its commit and before its answer."""

import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

from keyturn.app import create_app

app = create_app()
answer_to = app.wsgi_app


def dying(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    answer = answer_to(environ, start_response)
    if "HTTP_X_DIE" in environ:
        os.kill(os.getpid(), signal.SIGKILL)
    if "HTTP_X_RAISE" in environ:
        raise ValueError(environ["HTTP_X_RAISE"])
    return answer


app.wsgi_app = dying  # type: ignore[method-assign] # Flask's own way to wrap it
