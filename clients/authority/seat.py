"""A registrar's profile: its vault holds one registrar's key and certificate, the charters, and the invites with their names.

`mission init` makes the first registrar's profile on the machine it runs on; the second takes hers with `outrider enrol
registrar-2.key`, once, on her own machine: two people, two vaults. A registrar numbers what it says like any device, so the
same key in two profiles would soon contradict itself.

The key and certificate are the vault's secrets `registrar:<n>:key` and `registrar:<n>:der`, where `clients.registrar` finds them.
"""

from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from clients.core import records
from clients.core.errors import NotAllowed, NotEnrolled
from clients.core.ledger import Draft, Shelf
from clients.core.records import Note
from clients.vault import Vault
from keys.canonical import Id, Millis, Positive, Record
from keys.charter import Charter, reopen, succession
from keys.credential import read_certificate
from keys.errors import NotTrusted

Name = Annotated[str, Meta(max_length=100)]


class Seat(Record, frozen=True, array_like=True):
    """Which registrar of which organisation this profile is."""

    number: Positive
    organisation: Name
    device: Id


class InviteState(IntEnum):
    """What became of an invite here."""

    OPEN = 1
    GRANTED = 2
    CANCELLED = 3


class NamedInvite(Record, frozen=True, array_like=True):
    """An invite and whom it is for. The link holds the secret; names are here and in the sealed answer only."""

    link: str
    name: Name
    call_sign: Name
    person: Id
    created: Millis
    state: InviteState


SEAT: Final = Shelf("authority seat", Seat)  # ""
CHARTERS: Final = Shelf("authority charter", Note)  # version, 8 bytes
INVITES: Final = Shelf("authority invite", NamedInvite)  # invite id


def take_seat(vault: Vault, seed: bytes, der: bytes, seat: Seat, notes: list[bytes]) -> None:
    """Make this vault the registrar's. One transaction: all of it or nothing.

    Raises:
        NotAllowed: the profile is somebody's already.
        NotTrusted: the newest charter names no such registrar of that organisation.
    """
    if SEAT.get(vault) is not None or records.IDENTITY.get(vault) is not None:
        raise NotAllowed(f"{vault.folder} is somebody's profile already: name another with --profile")
    charters = succession(notes) if notes else []
    if charters and charters[-1].verify_certificate(der).organisation != seat.organisation:
        raise NotTrusted(f"the charter names this registrar for another organisation than {seat.organisation}")
    draft = Draft(vault)
    SEAT.put(draft, b"", seat)
    for charter in charters:
        put_charter(draft, charter)
    with vault.transaction():
        vault.set_secret(f"registrar:{seat.number}:key", seed)
        vault.set_secret(f"registrar:{seat.number}:der", der)
        vault.apply(draft.changes())


def new_seat(number: int, organisation: str, der: bytes) -> Seat:
    """The seat of the registrar with this certificate. Raises Malformed when it is none."""
    return Seat(number, organisation, read_certificate(der).device)


def put_charter(draft: Draft, charter: Charter) -> None:
    """Keep a charter that has been checked."""
    CHARTERS.put(draft, charter.policy.version.to_bytes(8, "big"), Note(charter.note))


def charter_notes(vault: Vault) -> list[bytes]:
    """The charters of this profile from the first on."""
    return [note.data for _, note in CHARTERS.scan(vault)]


def held_charter(vault: Vault) -> Charter | None:
    """The newest charter of this profile, a registrar's or a device's."""
    shelves = (CHARTERS, records.CHARTERS)
    notes = sorted((key, note.data) for shelf in shelves for key, note in shelf.scan(vault))
    return reopen(notes[-1][1]) if notes else None


def charter_in_force(vault: Vault) -> Charter:
    """The newest charter of this profile. Raises NotEnrolled where there is none."""
    charter = held_charter(vault)
    if charter is None:
        raise NotEnrolled(f"{vault.folder} holds no charter yet: enrol, or `outrider mission charter accept FILE`")
    return charter


def seat_of(vault: Vault) -> Seat:
    """The registrar of this profile. Raises NotAllowed where it is none."""
    seat = SEAT.get(vault)
    if seat is None:
        raise NotAllowed("only a registrar can do that: ask one, or name the registrar's profile with --profile")
    return seat
