"""Times as people write them."""

import pytest

from clients.moments import iso, parse_duration, parse_moment


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        pytest.param("90s", 90_000, id="seconds"),
        pytest.param("90m", 5_400_000, id="minutes"),
        pytest.param("24h", 86_400_000, id="hours"),
        pytest.param("30d", 2_592_000_000, id="days"),
    ],
)
def test_durations(text: str, millis: int) -> None:
    assert parse_duration(text) == millis


@pytest.mark.parametrize("text", ["", "h", "0h", "1", "-1h", "1 h", "1w", "1.5h", "١h", "9999999d"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("2027-03-31", "2027-03-31T23:59:59Z", id="a day is its end"),
        pytest.param("2027-03-31T12:00:00Z", "2027-03-31T12:00:00Z", id="a moment"),
        pytest.param("2027-03-31T12:00:00+02:00", "2027-03-31T10:00:00Z", id="a moment elsewhere"),
    ],
)
def test_moments(text: str, shown: str) -> None:
    assert iso(parse_moment(text)) == shown


@pytest.mark.parametrize("text", ["", "tomorrow", "2027-02-30", "31.3.2027", "2027-03-31T12:00:00"])
def test_no_moments(text: str) -> None:
    with pytest.raises(ValueError, match="2027-03-31"):
        parse_moment(text)
