"""The disk of a running gateway fails under traffic: the process ends by itself and says why, and the next has all that was accepted."""

from __future__ import annotations

from pathlib import Path

from tests.crash.eio import run


async def test_attack_19_a_gateway_whose_disk_fails_stops_and_nothing_accepted_is_lost(tmp_path: Path) -> None:
    """A failing sync first, then a failing write; exit 3 both times."""
    result, mission = await run(tmp_path, 2, 1)
    assert result.wrong == []
    assert result.accepted
    broken = "exit 3, outrider-gateway: Broken: the database failed"
    assert [end for end in mission.ends if broken not in end] == []
    assert mission.ends.total() == 2
