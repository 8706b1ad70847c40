"""Five hundred bits flipped, each found; ten thousand by hand (`make flips`)."""

from pathlib import Path

from tests.clients.auditor.flips import SEED, TARGETS, Campaign


def test_every_bit_that_is_flipped_is_found(tmp_path: Path) -> None:
    campaign = Campaign(SEED, tmp_path)
    assert campaign.sound()
    campaign.run(500)
    assert not campaign.missed, f"seed {SEED}"
    assert set(campaign.tried) == set(TARGETS)
