"""What all commands share: how they print, what they ask, and the exit codes they end with.

Exit codes: 0 done; 1 something broke; 2 the command line is wrong; 3 no such user,
session, service or key; 4 it is there already; 5 refused by a rule.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from itertools import chain, islice
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from keyturn.audit.actor import Actor, acting
from keyturn.errors import (
    ConfigurationError,
    CopyRefusedError,
    EmailTakenError,
    KeyturnError,
    ServiceExistsError,
    UnknownKeyError,
    UnknownLoginError,
    UnknownServiceError,
    UnknownUserError,
    ValidationFailedError,
    WeakPasswordError,
)

_Command = TypeVar("_Command", bound=Callable[..., Any])

MEASURED = 1000  # rows of a table, for the widths of its columns

BROKEN, USAGE, NOT_FOUND, EXISTS, REFUSED = 1, 2, 3, 4, 5

_EXIT_CODES: tuple[tuple[type[KeyturnError], int], ...] = (
    (UnknownUserError, NOT_FOUND),
    (UnknownLoginError, NOT_FOUND),
    (UnknownServiceError, NOT_FOUND),
    (UnknownKeyError, NOT_FOUND),
    (EmailTakenError, EXISTS),
    (ServiceExistsError, EXISTS),
    (WeakPasswordError, REFUSED),
    (CopyRefusedError, REFUSED),
    (ValidationFailedError, USAGE),
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
password_stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, for scripts."
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


class CommandError(click.ClickException):
    """Ends a command with a sentence on standard error and an exit code that tells."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click reads it from the instance


def command(function: _Command) -> _Command:
    """Run a command in the app's context, as whoever typed it.

    What Keyturn refuses becomes its exit code.
    """

    @with_appcontext
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            with acting(Actor.of_shell()):
                return function(*args, **kwargs)
        except ConfigurationError as error:
            raise CommandError(str(error), USAGE) from error
        except KeyturnError as error:
            known = (code for kind, code in _EXIT_CODES if isinstance(error, kind))
            faults = f" {json.dumps(error.errors)}" if error.errors else ""
            raise CommandError(f"{error}{faults}", next(known, BROKEN)) from error

    return wrapper  # type: ignore[return-value] # the same signature


def show(rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows of the same keys as a table for people, or as a JSON array, as they come."""
    for line in _json(rows) if as_json else _table(rows):
        click.echo(line)


def _json(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    opening = "["
    for row in rows:
        yield f"{opening}{json.dumps(row)}"
        opening = ","
    yield "[]" if opening == "[" else "]"


def _table(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    # The first rows tell how wide the columns are.
    coming = iter(rows)
    first = list(islice(coming, MEASURED))
    header = list(first[0]) if first else []
    cells = [[_cell(row[name]) for name in header] for row in first]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    rules = ["-" * width for width in widths]
    later = ([_cell(row[name]) for name in header] for row in coming)
    for line in chain([header, rules] if first else [], cells, later):
        yield "  ".join(map(str.ljust, line, widths)).rstrip()


def _cell(value: object) -> str:
    # What users typed, or their browsers sent, must not steer the operator's terminal.
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else "?" for character in text)


def ask_password(*, from_stdin: bool) -> str:
    """Return a password: one line of standard input, or typed twice without echo."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if the operator says so, or said so by `--yes`."""
    if not yes:
        click.confirm(question, abort=True)
