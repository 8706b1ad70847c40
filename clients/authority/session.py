"""A registrar's session with the gateway, for one verb.

Whenever a registrar is online its organisation's revocation list is looked after too: there has to be one before anybody can be
enrolled, and one that is older than a third of its life is published anew, so that no list runs out while somebody works.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from clients.authority.seat import Seat, charter_notes, put_charter, seat_of
from clients.core.errors import NotReached
from clients.core.ledger import Draft
from clients.core.records import CHARTERS
from clients.moments import SYNC, now
from clients.registrar import Registrar
from clients.shell import passphrase, profile, run, tell
from clients.vault import Vault
from keys.charter import succession

T = TypeVar("T")
HOUR: Final = 3_600_000  # ms


def as_registrar(work: Callable[[Registrar, Vault, Seat], Awaitable[T]], *, timeout: float = SYNC) -> T:
    """Open this profile's registrar, bring it up to date, and do `work`.

    Raises:
        NotAllowed: the profile is no registrar's.
        NotReached: the gateway is not there.
    """
    with Vault.open(profile(), passphrase()) as vault:
        return run(_session(vault, seat_of(vault), work, timeout))


async def _session(
    vault: Vault, seat: Seat, work: Callable[[Registrar, Vault, Seat], Awaitable[T]], seconds: float
) -> T:
    registrar = Registrar.open(vault, seat.number, charter_notes(vault))
    try:
        report = await registrar.sync(seconds)
        if not report.connected:
            raise NotReached(f"gateway not reached{f': {report.error}' if report.error else ''}; nothing was sent")
        _keep_charters(vault, registrar)
        await refresh_list(registrar)
        return await work(registrar, vault, seat)
    finally:
        registrar.close()


def _keep_charters(vault: Vault, registrar: Registrar) -> None:
    """Every version that the session brought: the next one is opened with all of them."""
    notes = registrar.act(lambda work: [note for _, note in CHARTERS.scan(work.turn.draft)])
    draft = Draft(vault)
    for charter in succession([note.data for note in notes]):
        put_charter(draft, charter)
    vault.apply(draft.changes())


async def refresh_list(registrar: Registrar, *, younger_than: int | None = None) -> bool:
    """Publish the organisation's revocation list if there is none yet or it is older than a third of its life, or than
    `younger_than` ms; says whether it did."""
    hours = registrar.charter.policy.crl_hours
    listed = registrar.revocations
    due = hours * HOUR // 3 if younger_than is None else younger_than
    if listed is not None and now() - listed.this_update < due:
        return False
    await registrar.publish_revocations((), hours=hours)
    tell(f"published the revocation list of {registrar.organisation}: good for {hours} hours")
    return True
