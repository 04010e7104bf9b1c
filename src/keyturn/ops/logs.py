"""How log lines look and where they go: one JSON object a line, to standard error.

A line is one write, so that those of several processes do not mix, and it has no line break or
control character in it but at its end. In development it is for people instead.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from functools import lru_cache
from traceback import format_exception
from typing import Any
from uuid import UUID

import orjson
import structlog
from structlog.tracebacks import extract
from structlog.typing import Processor, WrappedLogger

from keyturn import clock, notes

LEVELS = ("debug", "info", "warning", "error")

_INNERMOST = 12  # of the frames of a traceback

_text = lru_cache(maxsize=1024)(str)  # of ids: whoever asks comes back

_Line = MutableMapping[str, Any]


def configure(*, level: str, readable: bool) -> None:
    """Set up all loggers of structlog. Lines below `level` cost nothing."""
    render = [_for_people()] if readable else [_describe_error, _as_json]
    structlog.configure(
        processors=[_add_what_is_known, *render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )


class Forwarder(logging.Handler):
    """Sends what libraries log by the standard library's means the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record of the standard library."""
        error = record.exc_info[1] if record.exc_info else None
        details = {"exc_info": error} if error else {}
        # What is not ASCII may be anything: half a character, or a command to a terminal.
        message = record.getMessage().encode("ascii", "backslashreplace").decode()
        log = structlog.get_logger()
        log.log(record.levelno, message, logger=record.name, **details)


class _StandardError:
    """Writes at once and past all buffers. A log that nobody takes stops no request."""

    def msg(self, line: bytes) -> None:
        with suppress(OSError):
            os.write(2, line)

    debug = info = warning = error = critical = msg


def _add_what_is_known(_: WrappedLogger, level: str, line: _Line) -> _Line:
    return {"time": clock.now(), "level": level, "event": "", **notes.current(), **line}


def _describe_error(_: WrappedLogger, __: str, line: _Line) -> _Line:
    # Where and of which class, but no message and no values: those may hold what a user sent.
    error = line.pop("exc_info", None)
    if error is not None:
        line["error"] = [
            {
                "class": one.exc_type,
                "at": [f"{at.filename}:{at.lineno} {at.name}" for at in one.frames[-_INNERMOST:]],
            }
            for one in extract(type(error), error, error.__traceback__).stacks
        ]
    return line


def _as_json(_: WrappedLogger, __: str, line: _Line) -> bytes:
    return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


def _for_people() -> Processor:
    # structlog's ConsoleRenderer aligns and colours each pair, which takes three times as long.
    is_terminal = sys.stderr.isatty()
    styles = structlog.dev.ConsoleRenderer.get_default_level_styles(is_terminal)
    reset = structlog.dev.RESET_ALL if is_terminal else ""

    def as_text(_: WrappedLogger, __: str, line: _Line) -> bytes:
        time, level, event = line.pop("time"), line.pop("level"), line.pop("event")
        error = line.pop("exc_info", None)
        # What is no printable character is escaped.
        pairs = [
            f"{name}={_text(it) if isinstance(it, UUID) else it!r}" for name, it in line.items()
        ]
        trace = "".join(format_exception(error)) if error else ""
        head = f"{time.isoformat(' ', 'seconds')} {styles[level]}{level:7}{reset} {event:30}"
        return f"{head} {' '.join(pairs)}\n{trace}".encode()

    return as_text
