"""The passwords that everybody chooses, from breaches; tools/common_passwords.py made the list."""

import gzip
from functools import cache
from importlib.resources import files


class Blocklist:
    """Many words in one string, which is searched as a whole.

    That takes a fifth of a millisecond, where a set would take six times the memory in each
    process: counting its references copies what the processes were to share.
    """

    def __init__(self, text: str) -> None:
        self._text = f"\n{text}"

    def __contains__(self, word: str) -> bool:
        return "\n" not in word and f"\n{word}\n" in self._text


@cache
def common_passwords() -> Blocklist:
    """Return the list: words after NFKC, in small letters."""
    packed = files(__name__).joinpath("common.txt.gz").read_bytes()
    return Blocklist(gzip.decompress(packed).decode("ascii"))
