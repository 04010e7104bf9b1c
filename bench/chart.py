"""A chart of the promises: how far each figure is from its bound."""

from collections.abc import Sequence
from html import escape

from bench.report import Promise

ROW, LEFT, WIDE, RIGHT = 34, 430, 420, 110
MOST = 2.5  # times the bound: longer bars are cut


_STYLE = """text { fill: #24292f } .kept { fill: #2f81f7 } .broken { fill: #cf222e }
.line { stroke: #57606a; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .line { stroke: #8b949e } }"""


def drawn(promises: Sequence[Promise]) -> str:
    """Return the chart as SVG. Every bar ends right of the line where its promise is kept."""
    width, height = LEFT + WIDE + RIGHT, ROW * len(promises) + 50
    rows = "\n".join(_row(index, promise) for index, promise in enumerate(promises))
    line = LEFT + WIDE / MOST
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"
font-family="system-ui, sans-serif" font-size="14">
<title>Each figure, relative to its aim</title>
<style>{_STYLE}</style>
{rows}
<line class="line" x1="{line}" y1="10" x2="{line}" y2="{height - 34}"/>
<text x="{line}" y="{height - 14}" text-anchor="middle">aim</text>
</svg>
"""


def _row(index: int, promise: Promise) -> str:
    y = 10 + index * ROW
    length = WIDE * min(promise.better, MOST) / MOST
    kind = "kept" if promise.kept else "broken"
    return (
        f'<text x="{LEFT - 12}" y="{y + 18}" text-anchor="end">{escape(promise.name)}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{y + 3}" width="{length:.0f}" height="22" rx="3"/>'
        f'<text x="{LEFT + length + 8:.0f}" y="{y + 18}">{promise.value:.2f} {promise.unit}</text>'
    )
