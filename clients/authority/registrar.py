"""A registrar's profile: its vault holds one registrar's key and certificate, and the charter once there is one.

`mission init` makes the first registrar's profile on the machine it runs on; the second takes hers with `outrider enrol
registrar-2.key`, once, on her own machine: two people, two vaults. A registrar's device numbers what it says like any other,
so the same key in two profiles would soon contradict itself.
"""

from clients.core import records
from clients.core.errors import NotAllowed, NotEnrolled
from clients.core.ledger import Draft
from clients.core.records import Identity, Note, Seed
from clients.vault import Vault
from keys.charter import Charter, found, reopen
from keys.credential import ClaimedCertificate, read_certificate
from keys.errors import NotTrusted
from keys.identity import SigningKey
from keys.policy import Policy


def take_seat(vault: Vault, number: int, seed: bytes, der: bytes, organisation: str, charter: Charter | None) -> None:
    """Make this vault the registrar's. One transaction: all of it or nothing.

    Raises:
        NotAllowed: the profile is somebody's already.
        NotTrusted: the charter names no such registrar of that organisation.
    """
    if records.IDENTITY.get(vault) is not None:
        raise NotAllowed(f"{vault.folder} is somebody's profile already: name another with --profile")
    claimed = read_certificate(der)
    if charter is not None and charter.verify_certificate(der).organisation != organisation:
        raise NotTrusted(f"the charter names this registrar for another organisation than {organisation}")
    draft = Draft(vault)
    records.IDENTITY.put(draft, b"", _identity(claimed, organisation))
    records.SEEDS.put(draft, claimed.hash, Seed(seed))
    if charter is not None:
        put_charter(draft, charter)
    with vault.transaction():
        vault.set_secret(f"registrar:{number}:key", seed)
        vault.set_secret(f"registrar:{number}:der", der)
        vault.apply(draft.changes())


def _identity(claimed: ClaimedCertificate, organisation: str) -> Identity:
    return Identity(
        device=claimed.device,
        person=claimed.person,
        organisation=organisation,
        roles=[],
        certificate=claimed.der,
        certificate_hash=claimed.hash,
        not_before=claimed.not_before,
        not_after=claimed.not_after,
        registrar=True,
        card=b"",
    )


def put_charter(draft: Draft, charter: Charter) -> None:
    """Keep a charter that has been checked."""
    records.CHARTERS.put(draft, charter.policy.version.to_bytes(8, "big"), Note(charter.note))


def held_charter(vault: Vault) -> Charter | None:
    """The newest charter of this profile."""
    notes = [note for _, note in records.CHARTERS.scan(vault)]
    return reopen(notes[-1].data) if notes else None


def charter_in_force(vault: Vault) -> Charter:
    """The newest charter of this profile. Raises NotEnrolled where there is none."""
    charter = held_charter(vault)
    if charter is None:
        raise NotEnrolled(f"{vault.folder} holds no charter yet: `outrider mission charter accept FILE`")
    return charter


def first_charter(note: bytes) -> Charter | None:
    """The charter that came with a registrar's key file; none for a partner's, whose mission names it later."""
    return found(note) if note else None


def me(vault: Vault) -> tuple[Identity, SigningKey]:
    """The registrar of this profile and its key. Raises NotAllowed for anybody else's, NotEnrolled for nobody's."""
    identity = records.IDENTITY.get(vault)
    if identity is None:
        raise NotEnrolled(f"{vault.folder} is nobody's profile yet: enrol first")
    if not identity.registrar:
        raise NotAllowed("only a registrar can do that: ask one, or name the registrar's profile with --profile")
    seed = records.SEEDS.get(vault, identity.certificate_hash)
    assert seed is not None, "every certificate of this profile came with its key"
    return identity, SigningKey(seed.seed)


def described(policy: Policy) -> str:
    """A policy in a few words."""
    return f"{policy.mission}, version {policy.version}"
