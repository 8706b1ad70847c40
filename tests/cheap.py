"""Profiles whose passphrase costs next to nothing to try, for tests that open them time and again.

The program makes every vault at full cost and offers nothing else; here the file beside the database is written again, as
`Vault.create(..., cost=CHEAP)` would have written it.
"""

from pathlib import Path

from clients import slots
from clients.vault import CHEAP, PARAMETERS, Parameters, Vault, _derive, _parameters
from keys.canonical import encode


def cheapen(profile: Path, passphrase: str) -> None:
    """Let this profile ask CHEAP of whoever opens it. Its other slot is blank again: no duress passphrase may be set yet."""
    if not Vault.exists(profile) or (held := _parameters(profile)).cost == CHEAP:
        return
    found = slots.find(_derive(passphrase, held.salt, held.cost), held.slots)
    assert found is not None, "not the passphrase of this profile"
    number, keys = found
    filled = [slots.blank(), slots.blank()]
    filled[number] = slots.fill(_derive(passphrase, held.salt, CHEAP), keys)
    (profile / PARAMETERS).write_bytes(encode(Parameters(held.version, CHEAP, held.salt, filled)))
