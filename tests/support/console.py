"""The flask commands, as scripts use them."""

import json
from collections.abc import Callable
from typing import Any

from click.testing import Result

Run = Callable[..., Result]


def printed(result: Result) -> Any:
    """What a command that worked printed as JSON."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
