"""The answer to Prove: the newest checkpoint, that it contains the one held, and where entries stand under it.

An entry that no checkpoint covers yet is waited for: the next one is a beat away.
"""

import asyncio
from typing import Final

from gateway import wire
from gateway.audit.sequencer import Sequencer
from gateway.core.errors import Refused, denied
from gateway.wire import Refusal
from keys.tlog.merkle import consistency_proof, inclusion_proof

PATIENCE: Final = 5.0  # s
RETRY: Final = 2_000  # ms


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
