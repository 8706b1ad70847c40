"""Areas of an alert and the position of an SOS in words, for people without a map: so that a swapped latitude and longitude is noticed."""

from collections.abc import Sequence
from math import cos, radians
from typing import Final

from clients.core.cap import Area, Point
from clients.core.content import Position
from clients.core.text import visible

KM_PER_DEGREE: Final = 111.2


def area_lines(area: Area) -> list[str]:
    """An area: its name, then each of its shapes."""
    found = [visible(area.description)]
    found += [f"  circle of {shape.radius_km:g} km around {point(shape.centre)}" for shape in area.circles]
    found += [f"  polygon, {len(p) - 1} corners, {extent(p)}, first {point(p[0])}" for p in area.polygons]
    return found


def point(at: Point) -> str:
    """A point as it is read aloud: 12.1015 N 68.9336 W."""
    north, east = ("N" if at.latitude >= 0 else "S"), ("E" if at.longitude >= 0 else "W")
    return f"{abs(at.latitude):.4f} {north} {abs(at.longitude):.4f} {east}"


def extent(corners: Sequence[Point]) -> str:
    """How far a polygon reaches, north to south by west to east, in km."""
    latitudes, longitudes = [p.latitude for p in corners], [p.longitude for p in corners]
    middle = radians((max(latitudes) + min(latitudes)) / 2)
    height = (max(latitudes) - min(latitudes)) * KM_PER_DEGREE
    width = (max(longitudes) - min(longitudes)) * KM_PER_DEGREE * cos(middle)
    return f"{height:.1f} by {width:.1f} km"


def position_text(position: Position | None) -> str:
    """Where, how precise and how old: 40.4168 N 3.7038 W, within 15 m, 4 s old."""
    if position is None:
        return "no position"
    north, east = position.degrees
    where = f"{abs(north):.5f} {'N' if north >= 0 else 'S'} {abs(east):.5f} {'E' if east >= 0 else 'W'}"
    return f"{where}, within {position.precision} m, {position.age} s old when sent"


def position_object(position: Position | None) -> dict[str, object] | None:
    """A position as `--json` prints it."""
    if position is None:
        return None
    latitude, longitude = position.degrees
    return {
        "latitude": latitude,
        "longitude": longitude,
        "precision_m": position.precision,
        "age_s": position.age,
    }
