"""The answer to Prove: the newest checkpoint, that it contains the one held, and where entries stand under it. And to
GetWitnessed: the newest that the witnesses' quorum has cosigned, which is an older one for most of the time.

An entry that no checkpoint covers yet is waited for: the next one is a beat away. A cosignature is never waited for.
"""

import asyncio
from typing import Final

from gateway import wire
from gateway.audit.sequencer import Sequencer
from gateway.core.errors import Refused, denied
from gateway.wire import Refusal
from keys.tlog.checkpoint import TreeHead
from keys.tlog.merkle import consistency_proof, inclusion_proof
from keys.tlog.note import Note
from keys.tlog.policy import TrustPolicy

PATIENCE: Final = 5.0  # s
RETRY: Final = 2_000  # ms
NOTE_LIMIT: Final = 32 * 1024  # of the frame's note


async def prove(sequencer: Sequencer, frame: wire.Prove, log_size: int) -> wire.Proven:
    """Proofs from tiles and edge. `log_size` is what the store holds now, signed for or not.

    Raises:
        Refused: DENIED for an index or a held size that the log has not come to; BUSY when no checkpoint came in time.
    """
    size = max((index + 1 for index in frame.indices), default=0)
    if max(size, frame.held) > max(log_size, sequencer.head.size):
        raise denied()
    try:
        await asyncio.wait_for(sequencer.covered(max(size, frame.held)), PATIENCE)
    except TimeoutError:
        raise Refused(Refusal.BUSY, "no checkpoint covers this yet", RETRY) from None
    head, hashes = sequencer.head, sequencer.hashes()
    consistency = consistency_proof(frame.held, head.size, hashes.hash_at)
    paths = [wire.Path(index, list(inclusion_proof(index, head.size, hashes.hash_at))) for index in frame.indices]
    return wire.Proven(frame.id, head.bare, list(consistency), paths)


def witnessed(sequencer: Sequencer, frame: wire.GetWitnessed, policy: TrustPolicy) -> wire.Witnessed:
    """The newest cosigned checkpoint, with the log's Ed25519 line and the witnesses' as far as they fit.

    Raises:
        Refused: DENIED for a held size that the log has not come to.
    """
    head = sequencer.head
    if frame.held > head.size:
        raise denied()
    kept = sequencer.witnessed()
    if kept is None:
        return wire.Witnessed(frame.id, b"", [])
    note = Note.decode(kept)
    size = TreeHead.decode(note.text).size
    small, large = sorted((size, frame.held))
    proof = consistency_proof(small, large, sequencer.hashes().hash_at)
    return wire.Witnessed(frame.id, _lines(note, policy), list(proof))


def _lines(note: Note, policy: TrustPolicy) -> bytes:
    """The note with what a device checks: the short lines first, so that those of ML-DSA-44 are left out where they don't fit."""
    witnesses = {(w.key.name, w.key.key_id) for w in policy.witnesses}
    wanted = [line for line in note.signatures[1:] if (line.name, line.key_id) in witnesses]
    found = Note(note.text, note.signatures[:1])  # the log signs with Ed25519 first
    for line in sorted(wanted, key=lambda one: len(one.signature)):
        more = found.with_signatures([line])
        if len(more.encode()) > NOTE_LIMIT:
            break
        found = more
    return found.encode()
