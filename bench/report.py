"""What came out, in words: medians of several rounds, and promises kept or not."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Rates = Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A figure and its bound, a least or a most."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def better(self) -> float:
        """How many times better than promised; from 1 on the promise is kept."""
        if self.least is not None:
            return self.value / self.least
        return (self.most or 0) / self.value

    @property
    def kept(self) -> bool:
        """Whether the figure is on the right side of its bound."""
        return self.better >= 1

    def __str__(self) -> str:
        bound = f"at most {self.most:g}" if self.least is None else f"at least {self.least:g}"
        verdict = "kept" if self.kept else "NOT KEPT"
        return f"{verdict:8}  {self.value:7.2f} {self.unit:3}  {bound:14}  {self.name}"


def table(rates: Rates) -> str:
    """Return the median, least and most of every figure."""
    width = max(map(len, rates))
    lines = [f"{'':{width}}  {'median':>10}  {'min':>10}  {'max':>10}"]
    for name, values in rates.items():
        figures = (statistics.median(values), min(values), max(values))
        lines.append(f"{name:{width}}  " + "  ".join(f"{figure:10,.2f}" for figure in figures))
    return "\n".join(lines) + "\n"


def ratio(rates: Rates, above: str, below: str) -> float:
    """Return the median of the ratios, round by round: a slow round is slow for both."""
    return statistics.median(
        one / other for one, other in zip(rates[above], rates[below], strict=True)
    )
