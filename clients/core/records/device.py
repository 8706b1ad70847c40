"""Who this device is, and who else there is: certificates, lists of the revoked, the directory."""

from typing import Final

from clients.core.ledger import Shelf
from clients.core.records.simple import Counter, Note, Seed
from keys.canonical import Hash, Id, Millis, Record, Uint


class Identity(Record, frozen=True, array_like=True):
    """Who this device is. `certificate` is DER; `card` the registrar-signed card's bytes (empty for registrars)."""

    device: Id
    person: Id
    organisation: str
    roles: list[str]
    certificate: bytes
    certificate_hash: Hash
    not_before: Millis
    not_after: Millis
    registrar: bool
    card: bytes


class Enrolling(Record, frozen=True, array_like=True):
    """An enrolment under way: the invite's link, the new key's seed, the request sent, the charter's notes."""

    link: str
    seed: Hash
    request: bytes
    charter: list[bytes]


class Certificate(Record, frozen=True, array_like=True):
    """A certificate with its approval's log entry; it counts once `proven`."""

    der: bytes
    device: Id
    approver: Hash  # the approver's certificate
    index: Uint
    time: Millis
    leaf_hash: Hash
    proven: bool


class Revocations(Record, frozen=True, array_like=True):
    """An organisation's newest list, its log index, and the log index at which each serial first stood on one."""

    der: bytes
    index: Uint
    number: Uint
    this_update: Millis
    serials: list[tuple[str, Uint]]


class Peer(Record, frozen=True, array_like=True):
    """A device of the directory."""

    person: Id
    organisation: str
    roles: list[str]
    certificate: Hash
    not_after: Millis
    revoked: bool
    packages: Uint


class Package(Record, frozen=True, array_like=True):
    """A KeyPackage of this device, its secrets, and the certificate whose key signed it. `not_after` in seconds."""

    suite: int
    package: bytes
    secrets: bytes
    certificate: Hash
    last_resort: bool
    not_after: Uint
    put: bool
    used: bool


IDENTITY: Final = Shelf("identity", Identity)  # ""
SEEDS: Final = Shelf("seed", Seed)  # certificate hash
ENROLLING: Final = Shelf("enrolling", Enrolling)  # ""; "renewal"
CHARTERS: Final = Shelf("charter", Note)  # version, 8 bytes
PACKAGES: Final = Shelf("package", Package)  # KeyPackageRef
CERTIFICATES: Final = Shelf("certificate", Certificate)  # hash
HOLDERS: Final = Shelf("holder", Counter)  # device ‖ certificate hash
REVOCATIONS: Final = Shelf("revocations", Revocations)  # organisation
PEERS: Final = Shelf("peer", Peer)  # device
CARDS: Final = Shelf("card", Note)  # device
COUNTERS: Final = Shelf("counter", Counter)  # name
