"""Who is let in at the door before it has proved anything: so many a second, so many in all, so many from one address."""

from collections.abc import Iterator

import pytest

from gateway.web.door import HANDSHAKE_BURST, HANDSHAKES_PER_SECOND, STRANGERS, STRANGERS_PER_ADDRESS, Door


def addresses() -> Iterator[str]:
    """Each another one."""
    return (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(2**24))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", id="attack-75 one address"),
        pytest.param("2001:db8::1", "2001:db8::ffff:1", id="attack-75 one network of IPv6"),
        pytest.param("203.0.113.7", "::ffff:203.0.113.7", id="attack-75 IPv4 written as IPv6"),
    ],
)
def test_one_who_comes_again_and_again(one: str, other: str) -> None:
    door = Door()
    names = [door.enter(one if n % 2 else other, 0.0) for n in range(STRANGERS_PER_ADDRESS)]
    assert None not in names
    assert door.enter(one, 0.0) is None
    assert door.enter(other, 0.0) is None
    assert door.enter("198.51.100.1", 0.0) is not None, "nobody else is kept out"
    door.leave(names[0] or "")
    assert door.enter(one, 0.0) is not None, "whoever has proved itself or has gone makes room"


def test_attack_75_many_from_everywhere_wait_for_their_second() -> None:
    door, far = Door(), addresses()
    for _ in range(int(HANDSHAKE_BURST)):
        name = door.enter(next(far), 0.0)
        assert name is not None
        door.leave(name)
    assert door.enter(next(far), 0.0) is None
    let_in = sum(door.enter(next(far), 1.0) is not None for _ in range(1_000))
    assert let_in == HANDSHAKES_PER_SECOND


def test_attack_75_strangers_that_stay_have_a_bound() -> None:
    door, far = Door(), addresses()
    let_in = sum(door.enter(next(far), float(n)) is not None for n in range(STRANGERS + 10))
    assert let_in == STRANGERS


def test_a_proxy_on_this_host_stands_before_everybody() -> None:
    door = Door()
    assert all(door.enter("127.0.0.1", 0.0) == "" for _ in range(STRANGERS_PER_ADDRESS + 1))
