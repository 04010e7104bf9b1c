"""The life of a signing key: published, then signing, then retired, then gone.

Nobody flips a state. A key has the time it was published at and the time it signs from, its
successor's time retires it, and the states of all keys follow from these and the clock: all workers
of all hosts read the same from the same rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

# What comes on top of the times that settings know: a ring that is read again, a commit that waits
# for its turn, an answer on its way.
ALLOWANCE = timedelta(seconds=60)


class State(StrEnum):
    """Where a key is in its life."""

    PUBLISHED = "published"  # verifiers come to know it before its first token
    SIGNING = "signing"
    RETIRED = "retired"  # published until its last token has expired
    GONE = "gone"
    REVOKED = "revoked"  # gone before its time, with its tokens


class HasTimes(Protocol):
    """What is fixed about a key's life: its times. Only `revoked_at` may still come."""

    # Times, or None. As a type argument mypy does not see that a Mapped[datetime] is a datetime.
    signing_at: Any
    revoked_at: Any


Key = TypeVar("Key", bound=HasTimes)


@dataclass(frozen=True)
class Schedule:
    """How long a key is published before it signs and after, and how long it signs.

    `rotation` None means until an operator says so.
    """

    notice: timedelta
    overlap: timedelta
    rotation: timedelta | None

    @classmethod
    def of(
        cls, *, jwks_max_age: int, access_ttl: int, leeway: int, rotation_days: int
    ) -> "Schedule":
        """Return the schedule under which nobody is refused; all but the days are seconds."""
        clocks = timedelta(seconds=leeway)
        return cls(
            notice=timedelta(seconds=jwks_max_age) + clocks + ALLOWANCE,
            overlap=timedelta(seconds=access_ttl) + clocks + ALLOWANCE,
            rotation=timedelta(days=rotation_days) if rotation_days else None,
        )


@dataclass(frozen=True)
class Life(Generic[Key]):
    """A key, its state, and when it left or will leave the two states that its successor ends."""

    key: Key
    state: State
    retired_at: datetime | None
    gone_at: datetime | None

    @property
    def is_public(self) -> bool:
        """Whether tokens of this key are good, and others may know it."""
        return self.state not in {State.GONE, State.REVOKED}

    @property
    def may_sign(self) -> bool:
        """Whether this key signs or is to."""
        return self.state in {State.PUBLISHED, State.SIGNING}


class Succession(Generic[Key]):
    """All keys in the order they were made, as they are at one time."""

    def __init__(self, keys: Sequence[Key], schedule: Schedule, now: datetime) -> None:
        self._schedule = schedule
        self._now = now
        self.lives = [self._life(key, keys[place + 1 :]) for place, key in enumerate(keys)]
        # In order: whatever was made before the key that signs is retired.
        self._in_line = [life.key for life in self.lives if life.may_sign]

    def _life(self, key: Key, later: Sequence[Key]) -> Life[Key]:
        retired_at = min((one.signing_at for one in later if _ever_signs(one)), default=None)
        gone_at = None if retired_at is None else retired_at + self._schedule.overlap
        if key.revoked_at is not None:
            state, gone_at = State.REVOKED, key.revoked_at
        elif self._is_past(gone_at):
            state = State.GONE
        elif self._is_past(retired_at):
            state = State.RETIRED
        else:
            state = State.SIGNING if self._is_past(key.signing_at) else State.PUBLISHED
        return Life(key, state, retired_at, gone_at)

    def _is_past(self, moment: datetime | None) -> bool:
        return moment is not None and moment <= self._now

    @property
    def signer(self) -> Key | None:
        """The one key that signs.

        Where none does yet, the first was made by a host whose clock is ahead: that one.
        """
        return self._in_line[0] if self._in_line else None

    @property
    def heirs(self) -> list[Key]:
        """The published keys that are to sign after the one that does."""
        return self._in_line[1:]

    @property
    def is_due(self) -> bool:
        """Whether it is time to make a key: there is none, or its notice fits the schedule."""
        if not self._in_line or self._schedule.rotation is None:
            return not self._in_line
        signs_until = self._in_line[-1].signing_at + self._schedule.rotation
        return self._is_past(signs_until - self._schedule.notice)


def _ever_signs(key: HasTimes) -> bool:
    return key.revoked_at is None or key.revoked_at > key.signing_at
