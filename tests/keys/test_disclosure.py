"""Disclosure: a package opens one logged message; whatever is changed in it, it does not."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import sha256

import pytest
from msgspec.structs import replace

from keys.canonical import encode
from keys.credential import Certified
from keys.disclosure import (
    Ballot,
    Disclosure,
    Package,
    Request,
    Vote,
    Why,
    ask,
    check_package,
    open_sealed,
    open_why,
    read_disclosure,
    read_package,
    read_request,
    read_vote,
    seal_package,
)
from keys.envelope import NOTHING, Context, Entry, Envelope, Heard, Kind, Marking, Precedence, seal
from keys.errors import KeysError, Malformed, NotPermitted, NotTrusted
from keys.franking import franking_tag
from keys.identity import PersonId, SigningKey
from keys.sealing import Sealed
from keys.tlog.checkpoint import TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.merkle import leaf_hash, root_of
from keys.tlog.note import Ed25519Verifier
from keys.tlog.proof import prove
from tests.keys.mission import NOW, Device, Mission
from tests.keys.shapes import almost, sample

MISSION = Mission()
RANDOM = random.Random(7).randbytes
AUTHOR, OTHER = MISSION.device("agent"), MISSION.device("agent")
CHANNEL = bytes(range(16))
KEYS = [Ed25519Verifier(MISSION.log.verifier_key)]
SALT, TEXT = bytes(16), b"vehicle clear"


@dataclass(frozen=True)
class Log:
    """A run of three messages by one device, the last signed, under a checkpoint."""

    run: tuple[Envelope, ...]
    entries: tuple[bytes, ...]
    note: bytes

    def proof(self, index: int) -> bytes:
        leaves = [leaf_hash(e) for e in self.entries]
        checkpoint = open_checkpoint(self.note, KEYS, MISSION.policy.log_origin)
        return prove(
            index, checkpoint, lambda level, n: root_of(b"".join(leaves[n << level : n + 1 << level]))
        ).encode()


def context(author: Device, number: int, previous: bytes, text: bytes, kind: Kind = Kind.APPLICATION) -> Context:
    return Context(
        version=1,
        kind=kind,
        device=author.id,
        channel=CHANNEL,
        epoch=0,
        number=number,
        attempt=0,
        previous=previous,
        heard=Heard(0, NOTHING),
        time=NOW,
        precedence=Precedence.ROUTINE,
        marking=Marking.AMBER,
        expires=0,
        franking=franking_tag(SALT, text) if kind is Kind.APPLICATION else b"",
        alert=None,
    )


def logged(author: Device = AUTHOR, kind: Kind = Kind.APPLICATION, channel: bytes = CHANNEL, time: int = NOW) -> Log:
    run: list[Envelope] = []
    for n, text in enumerate((TEXT, b"second", b"third"), 1):
        signs = author.key if n == 3 or kind is not Kind.APPLICATION else None
        run.append(seal(context(author, n, run[-1].link if run else NOTHING, text, kind), b"", signs))
    entries = tuple(encode(Entry(1, time, bytes(16), channel, n, e.header, e.signature)) for n, e in enumerate(run, 1))
    root = root_of(b"".join(map(leaf_hash, entries)))
    note = sign_checkpoint(TreeHead(MISSION.policy.log_origin, len(entries), root), [MISSION.log]).encode()
    return Log(tuple(run), entries, note)


LOG = logged()
PACKAGE = Package(LOG.proof(0), LOG.entries[0], SALT, TEXT, list(LOG.run[1:]), AUTHOR.certified.der)


def check(package: Package) -> None:
    check_package(package, MISSION.charter, KEYS)


def test_a_package_opens_its_message() -> None:
    opened = check_package(read_package(encode(PACKAGE)), MISSION.charter, KEYS)
    assert (opened.content, opened.index, opened.author) == (TEXT, 0, AUTHOR.certified)
    assert opened.header_hash == sha256(LOG.run[0].header).digest()


@pytest.mark.parametrize(
    "package",
    [
        pytest.param(replace(PACKAGE, content=b"vehicle gone"), id="attack-44 other words"),
        pytest.param(replace(PACKAGE, salt=bytes([1]) * 16), id="attack-44 another salt"),
        pytest.param(
            replace(PACKAGE, proof=LOG.proof(1), entry=LOG.entries[1], links=[LOG.run[2]]), id="the neighbour"
        ),
        pytest.param(replace(PACKAGE, entry=LOG.entries[1]), id="attack-44 an entry at another's place"),
        pytest.param(replace(PACKAGE, proof=LOG.proof(1)), id="another place's proof"),
        pytest.param(replace(PACKAGE, links=[]), id="no way to a signature"),
        pytest.param(replace(PACKAGE, links=[LOG.run[1]]), id="cut before the signature"),
        pytest.param(replace(PACKAGE, links=[LOG.run[2]]), id="a link left out"),
        pytest.param(replace(PACKAGE, links=[*LOG.run[1:], LOG.run[2]]), id="a link too many"),
        pytest.param(replace(PACKAGE, links=[LOG.run[1], replace(LOG.run[2], signature=bytes(64))]), id="no signature"),
        pytest.param(replace(PACKAGE, certificate=OTHER.certified.der), id="somebody else's certificate"),
        pytest.param(replace(PACKAGE, certificate=MISSION.home.registrars[0].der), id="a registrar's certificate"),
        pytest.param(replace(PACKAGE, certificate=b""), id="no certificate"),
        pytest.param(replace(PACKAGE, proof=b""), id="no proof"),
    ],
)
def test_anything_else_does_not_open(package: Package) -> None:
    with pytest.raises(KeysError):
        check(package)


def _package(log: Log, author: Device = AUTHOR) -> Package:
    return Package(log.proof(0), log.entries[0], SALT, TEXT, list(log.run[1:]), author.certified.der)


def test_signed_by_another_key_than_the_certificates() -> None:
    stolen = Device(OTHER.key, AUTHOR.certified)
    with pytest.raises(KeysError):
        check(_package(logged(stolen)))


def test_an_entry_without_content_is_not_opened() -> None:
    log = logged(kind=Kind.ACK)
    with pytest.raises(Malformed):
        check(replace(_package(log), links=[]))


def test_an_entry_of_another_channel_than_its_envelope() -> None:
    with pytest.raises(Malformed):
        check(_package(logged(channel=bytes(16))))


def test_a_certificate_that_had_ended() -> None:
    with pytest.raises(KeysError):
        check(_package(logged(time=AUTHOR.certified.not_after + 1)))


def test_another_log_signs_nothing_here() -> None:
    other = Mission(2)
    with pytest.raises(NotTrusted):
        check_package(PACKAGE, MISSION.charter, [Ed25519Verifier(other.log.verifier_key)])


# --- sealed ---

AUDITOR, OFFICER = SigningKey(bytes(32)), MISSION.device("officer")
BARE = Request(bytes(32), CHANNEL, 1, 7, bytes(32), AUDITOR.public, Sealed([], b""))


def test_the_reason_is_for_voters_alone() -> None:
    why = Why("CMP-44", "a complaint")
    request = ask(BARE, why, [OFFICER.key.public], RANDOM)
    assert open_why(request, OFFICER.key) == why
    for key in (AUDITOR, OTHER.key):
        with pytest.raises(NotTrusted):
            open_why(request, key)
    with pytest.raises(NotTrusted):
        open_why(replace(request, seq=2), OFFICER.key)


def test_the_package_is_for_the_auditor_alone() -> None:
    sealed = seal_package(encode(PACKAGE), bytes(32), AUDITOR.public, RANDOM)
    assert open_sealed(sealed, bytes(32), AUDITOR) == PACKAGE
    with pytest.raises(NotTrusted):
        open_sealed(sealed, bytes(32), OFFICER.key)
    with pytest.raises(NotTrusted):
        open_sealed(sealed, bytes([1]) * 32, AUDITOR)


# --- votes ---


def person(device: Device) -> PersonId:
    return device.certified.person


BALLOT = Ballot(PersonId(bytes(16)), person(AUTHOR))
FOREIGN = MISSION.device("guest", house=MISSION.partner)


@pytest.mark.parametrize(
    ("ballot", "voter"),
    [
        pytest.param(BALLOT, AUTHOR, id="no such role"),
        pytest.param(Ballot(PersonId(bytes(16)), person(OFFICER)), OFFICER, id="the author"),
        pytest.param(Ballot(person(OFFICER), person(AUTHOR)), OFFICER, id="who asked"),
        pytest.param(
            Ballot(BALLOT.requester, BALLOT.author, frozenset({person(OFFICER)})), OFFICER, id="agreed before"
        ),
        pytest.param(
            Ballot(BALLOT.requester, BALLOT.author, frozenset(), frozenset({person(OFFICER)})),
            OFFICER,
            id="was against",
        ),
        pytest.param(BALLOT, FOREIGN, id="of another organisation"),
    ],
)
def test_who_has_no_vote(ballot: Ballot, voter: Device) -> None:
    with pytest.raises(NotPermitted):
        ballot.check_vote(MISSION.charter, voter.certified)


def test_a_partners_officer_has_no_vote() -> None:
    """By organisation, whatever the roles."""
    officer: Certified = OFFICER.certified
    from dataclasses import replace as change

    with pytest.raises(NotPermitted, match="own organisation"):
        BALLOT.check_vote(MISSION.charter, change(officer, organisation=MISSION.partner.organisation.name))


def test_enough_are_as_many_as_the_charter_says() -> None:
    BALLOT.check_vote(MISSION.charter, OFFICER.certified)
    people = [PersonId(bytes([n]) * 16) for n in range(MISSION.policy.disclosure_quorum)]
    assert Ballot(BALLOT.requester, BALLOT.author, frozenset(people)).agreed_to(MISSION.charter)
    assert not Ballot(BALLOT.requester, BALLOT.author, frozenset(people[1:]), frozenset(people)).agreed_to(
        MISSION.charter
    )


# --- forms ---

FORMS = [(read_request, Request), (read_vote, Vote), (read_disclosure, Disclosure), (read_package, Package)]


@pytest.mark.parametrize(("read", "kind"), FORMS, ids=[k.__name__ for _, k in FORMS])
def test_one_encoding_each(read: object, kind: type) -> None:
    assert callable(read)
    value = sample(kind)
    assert read(encode(value)) == value
    for _, data in almost(value):
        with pytest.raises(Malformed):
            read(data)
    for cut in range(len(encode(value))):
        with pytest.raises(Malformed):
            read(encode(value)[:cut])
