"""Whatever a power cut leaves of tiles, bundles, checkpoint, floor and database: the start mends it, and the log never goes back."""

from __future__ import annotations

from tests.crash.log_images import campaign, record

IMAGES = 200


async def test_attack_80_a_start_mends_what_a_crash_has_left_and_the_log_never_goes_back() -> None:
    found = await campaign(await record(1), 1, IMAGES)
    assert found.images == IMAGES
    assert not found.wrong, "\n".join(map(str, found.wrong[:5]))


async def test_a_log_that_syncs_nothing_is_found() -> None:
    """A planted fault: that the files are written in the right order is not enough."""
    found = await campaign(await record(1, synced=False), 1, 40)
    assert found.wrong
