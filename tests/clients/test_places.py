"""Areas in words."""

import pytest

from clients.core.cap import Area, Circle, Point
from clients.places import area_lines, extent, point


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (Point(12.1015, -68.9336), "12.1015 N 68.9336 W"),
        (Point(-33.9, 18.42), "33.9000 S 18.4200 E"),
        (Point(0, 0), "0.0000 N 0.0000 E"),
    ],
)
def test_a_point(at: Point, said: str) -> None:
    assert point(at) == said


def test_an_area_shows_what_it_is_and_how_large() -> None:
    square = (Point(60, 10), Point(60, 11), Point(61, 11), Point(61, 10), Point(60, 10))
    assert extent(square) == "111.2 by 54.8 km"
    area = Area("Gate \u202e2", (square,), (Circle(Point(12.1, -68.9), 0.4),), (), None, None)
    assert area_lines(area) == [
        "Gate <U+202E>2",
        "  circle of 0.4 km around 12.1000 N 68.9000 W",
        "  polygon, 4 corners, 111.2 by 54.8 km, first 60.0000 N 10.0000 E",
    ]
