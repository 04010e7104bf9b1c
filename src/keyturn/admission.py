"""Which requests may hash a password now."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from keyturn.errors import BusyError
from keyturn.http.contract import promise
from keyturn.services import services


def hashes_a_password(view: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a view within the share of threads that hashing may fill; past it, 503.

    Innermost of a view's decorators, so that no slow body holds a place.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with services().passwords.queue.place():
            return view(*args, **kwargs)

    return promise(wrapper, BusyError)
