"""What the next reading starts from: `--save` writes it after a log was found sound, `--since` reads it.

It holds the tree as a compact range, and of the content what an entry is judged by: charters, certificates, lists, where each
stream and chain stands and what was heard there, each channel's public group, and the matters left open (`matters.py`). It is the
auditor's own note, kept with the auditor: whoever can change it can hide what came before.
"""

from typing import Annotated, Final

from msgspec import Meta

from clients.auditor.verify.chains import Chain
from clients.auditor.verify.entries import Stream
from clients.auditor.verify.matters import Matters, matters_of, remember
from clients.auditor.verify.reading import Reading
from clients.auditor.verify.rosters import Roster, terms_of
from keys.canonical import Hash, Id, Millis, Record, Uint, encode, reader
from keys.charter import Charter
from keys.errors import KeysError, Malformed
from keys.mls import PublicGroup
from keys.mls.errors import MLSError
from keys.revocation import RevocationList, read_revocation_list
from keys.tlog.errors import TlogError
from keys.tlog.merkle import Frontier

VERSION: Final = 3
LIMIT: Final = 1 << 30


class StreamState(Record, frozen=True, array_like=True):
    """A stream: its last place, and its history where what was heard is compared: 32 bytes a place, all of them, since a device that
    comes back after a year has heard what stood there a year ago."""

    id: Id
    seq: Uint
    rolling: Hash
    parent: Id | None
    dense: bool
    history: bytes


class ChainState(Record, frozen=True, array_like=True):
    """A chain: the last number, its hash, and where it stands."""

    device: Id
    channel: Id
    number: Uint
    link: Hash
    index: Uint


class RosterState(Record, frozen=True, array_like=True):
    """A channel's public group, who ever was in it and by which certificate last, and who may come in again in this epoch."""

    channel: Id
    group: bytes
    ever: list[tuple[Id, Hash]]
    approved: list[Id]
    grace_until: Millis


class State(Record, frozen=True, array_like=True):
    """A verification's end, to be gone on from."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    origin: str
    tree: bytes  # keys.tlog.merkle.Frontier
    time: Millis
    charters: list[bytes]
    certificates: list[bytes]
    lists: list[bytes]
    streams: list[StreamState]
    chains: list[ChainState]
    rosters: list[RosterState]
    matters: Matters

    @property
    def frontier(self) -> Frontier:
        return Frontier.decode(self.tree)


_read = reader(State, limit=LIMIT)


def read_state(data: bytes) -> State:
    """Read a state file. Raises Malformed."""
    state = _read(data)
    try:
        Frontier.decode(state.tree)
    except TlogError as error:
        raise Malformed(str(error)) from None
    return state


def state_of(reading: Reading, origin: str, tree: Frontier) -> bytes:
    """The state file of a reading that found nothing to object to."""
    return encode(
        State(
            version=VERSION,
            origin=origin,
            tree=tree.encode(),
            time=reading.times.last,
            charters=[c.note for c in reading.charters.all],
            certificates=[c.der for c in reading.registry.certificates.values()],
            lists=[listed.der for listed in reading.registry.lists.values()],
            streams=[_stream(s) for s in reading.streams.open.values()],
            chains=[
                ChainState(device, channel, c.number, c.link, c.index)
                for (device, channel), c in reading.chains.all.items()
            ],
            rosters=[
                RosterState(channel, r.group.encode(), sorted(r.ever.items()), sorted(r.approved), r.grace_until)
                for channel, r in reading.rosters.open.items()
            ],
            matters=matters_of(reading),
        )
    )


def _stream(stream: Stream) -> StreamState:
    return StreamState(stream.id, stream.seq, stream.rolling, stream.parent, stream.dense, bytes(stream.history))


def restore(state: State, reading: Reading) -> None:
    """Put a fresh reading where the one that was saved ended.

    Raises:
        Malformed: the state contradicts itself, so it is none that was saved here.
    """
    reading.start, reading.times.last = state.frontier.size, state.time
    try:
        reading.charters.restore(state.charters)
        _restore_registry(state, reading)
        for one in state.rosters:
            group = PublicGroup.decode(one.group, reading.registry)
            roster = Roster(group, terms_of(group.context.extensions), ever=dict(one.ever), approved=set(one.approved))
            roster.grace_until = one.grace_until
            reading.rosters.restore(one.channel, roster)
        remember(state.matters, reading, reading.charters.all)
    except (KeysError, MLSError) as error:
        raise Malformed(f"not a state that was saved here: {error}") from None
    for stream in state.streams:
        base = stream.seq - len(stream.history) // 32 if stream.dense else 0
        reading.streams.restore(
            Stream(stream.id, stream.seq, stream.rolling, stream.parent, stream.dense, base, bytearray(stream.history))
        )
    for chain in state.chains:
        reading.chains.all[chain.device, chain.channel] = Chain(
            chain.number, chain.link, chain.index, device=chain.device
        )


def _restore_registry(state: State, reading: Reading) -> None:
    charters = reading.charters.all
    if not charters:
        return
    reading.registry.install(charters[-1])
    for der in state.certificates:
        reading.registry.count(charters[-1].verify_certificate(der))
    for der in state.lists:
        reading.registry.revoke(_list(der, charters))


def _list(der: bytes, charters: list[Charter]) -> RevocationList:
    """A list by a registrar of the charter in force, or of an older one that has been succeeded since."""
    for charter in reversed(charters[1:]):
        try:
            return read_revocation_list(der, charter.policy.issuers)
        except KeysError:
            continue
    return read_revocation_list(der, charters[0].policy.issuers)
