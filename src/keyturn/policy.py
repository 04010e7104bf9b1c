"""What a new password must be: long, and none that a guesser tries first.

NIST SP 800-63B-4 section 3.1.1.2 and OWASP ASVS 5 section 6.2: no rules of composition, a list of
common passwords, and words of the context. A password is compared as a whole: a common word within
a longer one is no fault.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from keyturn.blocklist import Blocklist
from keyturn.errors import WeakPasswordError
from keyturn.passwords import MAX_LENGTH, normalised

SHORTEST = 8  # characters; no policy takes fewer, so no repeated piece of fewer counts as more
MAX_PADDING = 6  # of digits and signs around a word: `2024`, `123456`, `!`; but any run of them

_SEPARATORS = re.compile(r"[\s._-]+")
_BETWEEN_NAMES = re.compile(r"[@:/]+")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


class Reason(StrEnum):
    """Why a password is not taken: the `reason` of the problem."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPETITIVE = "repetitive"
    PERSONAL = "personal"
    SERVICE = "service"
    COMMON = "common"


_DETAILS = {
    Reason.TOO_SHORT: "The password needs at least {min_length} characters.",
    Reason.TOO_LONG: f"The password may have at most {MAX_LENGTH} characters.",
    Reason.REPETITIVE: "The password only repeats a short piece, or counts.",
    Reason.PERSONAL: "The password is the e-mail or the name, or little more.",
    Reason.SERVICE: "The password is the name of the service, or little more.",
    Reason.COMMON: "The password is among the most common ones, or little more.",
}


@dataclass(frozen=True)
class PasswordPolicy:
    """The rules of one service. `service` are the names it is known by."""

    min_length: int
    common: Blocklist
    service: tuple[str, ...] = ()

    def check(self, password: str, *personal: str) -> None:
        """Raise `WeakPasswordError`, saying why, for a password that may not be set.

        `personal` is what everybody can know of its user: e-mail and name.
        """
        reason = self._fault(normalised(password), personal)
        if reason is not None:
            detail = _DETAILS[reason].format(min_length=self.min_length)
            raise WeakPasswordError(detail, reason=reason)

    def _fault(self, password: str, personal: tuple[str, ...]) -> Reason | None:
        if len(password) < self.min_length:
            return Reason.TOO_SHORT
        if len(password) > MAX_LENGTH:
            return Reason.TOO_LONG
        folded = password.casefold()
        if _is_run(folded) or len(_piece(folded)) < SHORTEST:
            return Reason.REPETITIVE
        return self._guessed({*_reductions(folded), *_reductions(_joined(folded))}, personal)

    def _guessed(self, readings: set[str], personal: tuple[str, ...]) -> Reason | None:
        if readings & _words(personal):
            return Reason.PERSONAL
        if readings & _words(self.service):
            return Reason.SERVICE
        return Reason.COMMON if any(reading in self.common for reading in readings) else None


def _words(names: tuple[str, ...]) -> set[str]:
    """Return how names are typed: whole, the two sides of an e-mail, and word by word."""
    folded = [normalised(name).casefold() for name in names]
    parts = [part for name in folded for part in _BETWEEN_NAMES.split(name)]
    words = [word for name in folded for word in _BETWEEN_WORDS.split(name)]
    return {_joined(text) for text in (*folded, *parts, *words)} - {""}


def _joined(text: str) -> str:
    return _SEPARATORS.sub("", text)


def _reductions(text: str) -> Iterator[str]:
    """Yield a text, and what is left of it without repetition and padding, step by step."""
    while text:
        yield text
        piece = _piece(text)
        shorter = piece if piece != text else _unpadded(text)
        text = shorter if shorter != text else ""


def _piece(text: str) -> str:
    """Return what a text repeats at least twice, the last time perhaps cut off; or all of it."""
    periods = range(1, len(text) // 2 + 1)
    return next((text[:size] for size in periods if text[size:] == text[:-size]), text)


def _unpadded(text: str) -> str:
    """Return a text without digits and signs around it, as far as they are few or a run."""
    letters = [index for index, character in enumerate(text) if character.isalpha()]
    first, end = (letters[0], letters[-1] + 1) if letters else (len(text), len(text))
    start = first if _is_padding(text[:first]) else 0
    return text[start:end] if _is_padding(text[end:]) else text[start:]


def _is_padding(text: str) -> bool:
    return len(_piece(text)) <= MAX_PADDING or _is_run(text)


def _is_run(text: str) -> bool:
    """Tell whether a text counts, up or down or on the spot; after 9 comes 0."""
    steps = {_step(before, after) for before, after in pairwise(text)}
    return len(steps) <= 1 and steps <= {-1, 0, 1}


def _step(before: str, after: str) -> int:
    step = ord(after) - ord(before)
    return {-9: 1, 9: -1}.get(step, step) if f"{before}{after}".isdecimal() else step
