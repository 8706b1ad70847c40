"""Places as CAP writes them in text: points, polygons and circles in WGS 84 (CAP 1.2 sections 1.6 and 3.2.4).

A point is `latitude,longitude` in degrees. A polygon is points with space between them, at least four, the first
and last the same. A circle is a point, a space, and a radius in kilometres.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from clients.core.cap.values import DECIMAL, SPACE

_SPACES: Final = re.compile(f"[{SPACE}]+")
_POINT: Final = f"{DECIMAL},{DECIMAL}"
# The stars are possessive: a text of 500 kB is walked once, and no way back is kept.
_POLYGON: Final = re.compile(f"[{SPACE}]*+(?:{_POINT}(?:[{SPACE}]++{_POINT})*+[{SPACE}]*+)?+")
_CIRCLE: Final = re.compile(f"[{SPACE}]*+{_POINT}[{SPACE}]++{DECIMAL}[{SPACE}]*+")
LEAST_POINTS: Final = 4


class Point(NamedTuple):
    """Degrees north and east of the WGS 84 origin; south and west are negative."""

    latitude: float
    longitude: float

    @property
    def in_range(self) -> bool:
        return abs(self.latitude) <= 90 and abs(self.longitude) <= 180


@dataclass(frozen=True, slots=True)
class Circle:
    """All within `radius_km` of the centre; a radius of zero is a point."""

    centre: Point
    radius_km: float


def words(text: str) -> list[str]:
    """The words of a list in a text, split at XML's space and at no other."""
    stripped = text.strip(SPACE)
    return _SPACES.split(stripped) if stripped else []


def polygon(text: str) -> list[Point] | None:
    """The points of a polygon as written, checked for nothing but their syntax; None where one isn't a point."""
    if _POLYGON.fullmatch(text) is None:
        return None
    numbers = [float(number) for number in text.replace(",", " ").split()]
    return list(map(Point, numbers[::2], numbers[1::2]))


def circle(text: str) -> Circle | None:
    """A circle on the globe with a radius of zero or more; None where the text isn't one."""
    if _CIRCLE.fullmatch(text) is None:
        return None
    latitude, longitude, radius = map(float, text.replace(",", " ").split())
    centre = Point(latitude, longitude)
    return Circle(centre, radius) if centre.in_range and 0 <= radius < float("inf") else None
