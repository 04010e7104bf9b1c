"""The one place that asks the time, so that tests can move it and nothing else knows how."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
