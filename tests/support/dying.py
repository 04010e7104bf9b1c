"""Keyturn in a worker that is killed, if asked to, after its commit and before its answer."""

import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

from keyturn.app import create_app

keyturn = create_app()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    answer = keyturn(environ, start_response)
    if "HTTP_X_DIE" in environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
