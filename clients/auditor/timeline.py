"""A log's days as a picture: how much was said, and when what mattered happened. SVG, drawn here, from numbers alone.

    bars       entries an hour, or a stretch of hours that fits the width
    marks      alerts, escalations, enrolments, revocations, charters and acts, a row each, each mark with its entry as its title

Nothing in it is a name, and nothing depends on when or where it is drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from clients.moments import iso

HOUR: Final = 3_600_000  # ms
WIDTH: Final = 960
LEFT: Final = 110
BARS: Final = 120  # height
ROW: Final = 22
MOST_BARS: Final = 170
TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: its row, its time (ms), its entry, and a few words."""

    row: str
    time: int
    index: int
    text: str


def svg(hours: Mapping[int, int], marks: Sequence[Mark], rows: Sequence[str]) -> str:
    """The picture. `hours` are entries by hours since the epoch; `rows` names the rows of marks, each shown even if empty."""
    if not hours:
        return ""
    first, last = min(hours), max(hours)
    step = max(1, -(-(last - first + 1) // MOST_BARS))
    count = -(-(last - first + 1) // step)
    bars = [0] * count
    for hour, entries in hours.items():
        bars[(hour - first) // step] += entries
    begun, span = first * HOUR, count * step * HOUR
    height = BARS + ROW * len(rows) + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Entries over time, and what happened when">',
        *_bars(bars, step),
        *_ticks(begun, span, height),
    ]
    for place, row in enumerate(rows):
        y = BARS + 30 + ROW * place
        parts.append(f'<text class="row" x="0" y="{y + 4}">{escape(row)}</text>')
        parts.append(f'<line class="rule" x1="{LEFT}" y1="{y}" x2="{WIDTH}" y2="{y}"/>')
        parts += [_mark(mark, _x(mark.time, begun, span), y) for mark in marks if mark.row == row]
    return "\n".join([*parts, "</svg>"])


def _bars(bars: Sequence[int], step: int) -> list[str]:
    most, width = max(bars), (WIDTH - LEFT) / len(bars)
    unit = "an hour" if step == 1 else f"in {step} hours"
    parts = [
        f'<text class="row" x="0" y="14">entries</text><text class="small" x="0" y="30">most: {most} {unit}</text>'
    ]
    for place, entries in enumerate(bars):
        if entries:
            high = max(1.5, BARS * entries / most)
            x, thick = LEFT + place * width, max(1.0, width - 1)
            parts.append(
                f'<rect class="bar" x="{x:.1f}" y="{BARS - high + 4:.1f}" width="{thick:.1f}" height="{high:.1f}">'
                f"<title>{entries} entries</title></rect>"
            )
    return parts


def _ticks(begun: int, span: int, height: int) -> list[str]:
    parts = []
    for place in range(TICKS):
        time = begun + span * place // (TICKS - 1)
        x = LEFT + (WIDTH - LEFT) * place / (TICKS - 1)
        anchor = {0: "start", TICKS - 1: "end"}.get(place, "middle")
        parts.append(f'<line class="tick" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{height - 16}"/>')
        label = iso(time).replace("T", " ").removesuffix(":00Z")
        parts.append(f'<text class="small" x="{x:.1f}" y="{height - 3}" text-anchor="{anchor}">{label}</text>')
    return parts


def _x(time: int, begun: int, span: int) -> float:
    return LEFT + (WIDTH - LEFT) * min(1.0, max(0.0, (time - begun) / span))


def _mark(mark: Mark, x: float, y: int) -> str:
    title = escape(f"{iso(mark.time)}, entry {mark.index}: {mark.text}")
    return f'<circle class="mark {escape(mark.row)}" cx="{x:.1f}" cy="{y}" r="5"><title>{title}</title></circle>'
