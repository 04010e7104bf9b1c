"""`make bench`: measure, print what came out, draw it, and exit 1 where a promise is not kept."""

import argparse
import sys
from pathlib import Path

from bench import chart, machine, measures
from bench.report import table

CHART = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "performance.svg"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=int, default=4, help="how long each measurement is (4)")
    parser.add_argument("--requests", type=int, default=200_000, help="for the memory (200,000)")
    options = parser.parse_args()
    print(machine.facts())
    rates = measures.rounds(options.rounds, options.seconds)
    print(table(rates))
    promises = [
        *measures.ratios(rates),
        measures.in_a_flood(),
        *measures.footprint(options.requests),
    ]
    for promise in promises:
        print(promise)
    CHART.write_text(chart.drawn(promises))
    sys.exit(0 if all(promise.kept for promise in promises) else 1)


if __name__ == "__main__":
    main()
