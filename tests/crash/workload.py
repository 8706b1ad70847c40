"""Decisions for the real store, made from a seed: the same seed asks for the same rows in the same transactions.

Envelopes in a few streams with bodies short and long, uploads given to readers or dropped, KeyPackages, invites, cursors, alerts
answered, bodies destroyed, checkpoints swapped, and now and then a decision that is refused. What a decision is to do follows from what
it sees, as the gateway's own do: so two runs of a decision would take two places.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any, Final

import apsw

from gateway.core import effects as e
from gateway.core.rows import Invitation, Stored, Stream, StreamKind
from gateway.core.view import View
from gateway.store.base import Decision
from keys.envelope import NOTHING, Kind
from keys.identity import ChannelId, DeviceId

STREAMS: Final = tuple(ChannelId(bytes([n]) * 16) for n in range(1, 5))
DEVICES: Final = tuple(DeviceId(bytes([n]) * 16) for n in range(1, 7))
KINDS: Final = (Kind.APPLICATION,) * 4 + (Kind.RECEIPT, Kind.COMMIT, Kind.FILLER)


class Refusing(Exception):
    """A decision that is refused."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """In place of a decision: the store's checkpoint is swapped for one of all that is there."""


Asked = Decision[Any] | Checkpoint
Transaction = Sequence[Asked]


def envelope(channel: ChannelId, device: DeviceId, kind: Kind, body: bytes, nonce: bytes) -> Decision[int]:
    """One more envelope; a long body stands apart, and is given to readers in the same transaction. Answers its log index."""

    def decision(view: View) -> e.Outcome[int]:
        stream = view.stream(channel) or Stream(channel, StreamKind.CHANNEL, 0, NOTHING)
        end, chain = view.log_end(), view.chain(channel, device)
        seq, number, digest = stream.seq + 1, chain.number + 1, sha256(body).digest()
        header = b"header %d of %d in %s" % (number, device[0], channel.hex().encode())
        apart = len(body) > 4_000
        one = Stored(
            channel, seq, end.size, max(end.time, seq), nonce, header, b"s" * 64, kind, device, number, 3, digest,
            len(body), None if apart else body,
        )  # fmt: skip
        effects: list[e.Effect] = [e.PutStream(stream)] if seq == 1 else []
        if apart:
            effects.append(e.PutPiece(device, digest, len(body), 0, body[: len(body) // 2], seq))
            effects.append(e.PutPiece(device, digest, len(body), len(body) // 2, body[len(body) // 2 :], seq))
            effects.append(e.GiveBlob(digest, channel, seq))
        effects.append(e.Append([one], sha256(header).digest()))
        return e.Outcome(one.index, tuple(effects))

    return decision


def always(*effects: e.Effect) -> Decision[None]:
    return lambda _view: e.Outcome(None, effects)


def destroy(channel: ChannelId, share: int) -> Decision[None]:
    """The bodies of every so many envelopes of a stream."""

    def decision(view: View) -> e.Outcome[None]:
        stream = view.stream(channel)
        seqs = tuple(range(1, (stream.seq if stream else 0) + 1, share))
        return e.Outcome(None, (e.Destroy(channel, seqs), e.PutSwept(channel, len(seqs))))

    return decision


def refused(_view: View) -> e.Outcome[None]:
    raise Refusing


def transactions(seed: int, count: int, *, logged: bool = False) -> Iterator[Transaction]:
    """So many transactions, each of one decision to a dozen. `logged`: beside a sequencer, which alone swaps checkpoints, and whose
    published bodies nobody destroys."""
    chance = Random(seed)
    invites: list[bytes] = []

    def write() -> Decision[int]:
        size = chance.choice((10, 200, 200, 900, 3_000, 9_000))
        body, nonce = chance.randbytes(size), chance.randbytes(16)
        return envelope(chance.choice(STREAMS), chance.choice(DEVICES), chance.choice(KINDS), body, nonce)

    def upload() -> Decision[None]:
        data = chance.randbytes(3_000)
        piece = e.PutPiece(chance.choice(DEVICES), sha256(data).digest(), 6_000, 0, data, 1)
        return always(piece, e.DropUpload(piece.hash)) if chance.random() < 0.3 else always(piece)

    def invite() -> Decision[None]:
        if invites and chance.random() < 0.5:
            return always(e.DropInvitation(invites.pop()))
        invites.append(chance.randbytes(16))
        return always(e.PutInvitation(Invitation(invites[-1], "Meridian", "agent", 1, chance.randbytes(400))))

    def package() -> Decision[None]:
        data, last = chance.randbytes(700), chance.random() < 0.3
        return always(e.PutPackage(chance.choice(DEVICES), 1, data, last, 1_000))

    others: Sequence[Callable[[], Asked]] = (
        upload,
        invite,
        package,
        lambda: always(e.DropEndedPackages(chance.choice(DEVICES), 2_000)),
        lambda: refused,
        *(() if logged else (lambda: destroy(chance.choice(STREAMS), chance.randint(2, 5)), Checkpoint)),
    )
    for _ in range(count):
        size = chance.choice((1, 1, 2, 4, 12))
        asked = [write() if chance.random() < 0.7 else chance.choice(others)() for _ in range(size)]
        swaps = [one for one in asked if isinstance(one, Checkpoint)]
        yield [one for one in asked if not isinstance(one, Checkpoint)] + swaps[:1]


def contents(db: apsw.Connection) -> bytes:
    """A hash over every row of every table."""
    found = sha256()
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        found.update(marshal.dumps((table, db.execute(f"SELECT * FROM {table}").fetchall()), 2))  # 2: by values alone
    return found.digest()


def gaps(db: apsw.Connection) -> list[str]:
    """What of the log's and the streams' places is not as it must be."""
    wrong = []
    indices = [n for (n,) in db.execute("SELECT idx FROM envelopes ORDER BY idx")]
    if indices != list(range(len(indices))):
        wrong.append(f"log indices are not gap-free: {indices}")
    for (name,) in db.execute("SELECT n FROM streams").fetchall():
        seqs = [n for (n,) in db.execute("SELECT seq FROM envelopes WHERE stream = ? ORDER BY seq", (name,))]
        if seqs != list(range(1, len(seqs) + 1)):
            wrong.append(f"stream {name} has {seqs}")
    for stream, device in db.execute("SELECT DISTINCT stream, device FROM envelopes").fetchall():
        numbers = [
            n
            for (n,) in db.execute(
                "SELECT number FROM envelopes WHERE stream = ? AND device = ? ORDER BY number", (stream, device)
            )
        ]
        if numbers != list(range(1, len(numbers) + 1)):
            wrong.append(f"a device's numbers in stream {stream} are {numbers}")
    size = db.execute("SELECT size FROM checkpoint").fetchone()
    if size is not None and size[0] > len(indices):
        wrong.append(f"a checkpoint of {size[0]} over {len(indices)} entries")
    return wrong
