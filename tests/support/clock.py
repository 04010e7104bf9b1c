"""The clock of a test: it stands still until the test shifts it."""

from datetime import UTC, datetime, timedelta

import time_machine


def standing_clock() -> time_machine.travel:
    """Stop the clock at the next whole second.

    Of today, whatever day that is: what a test begins with (demo users, a key pair) is as new to
    a test that shifts the clock as to one with a real server, which has the real time.
    """
    next_second = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return time_machine.travel(next_second, tick=False)


def zulu(seconds: float = 0) -> str:
    """So many seconds from now, as the API writes a time (RFC 3339)."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
