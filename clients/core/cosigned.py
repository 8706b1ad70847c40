"""What witnesses have seen of the log, as this device judges it: the charter's quorum, and whether it is the same log.

Nothing waits for a cosignature, so the newest checkpoint has none for most of the time; an earlier one has. What counts is that the
quorum has cosigned one lately, and that this device's own checkpoint and that one are of one log. If they are not, two notes
signed by the log's key contradict each other.
"""

from dataclasses import dataclass
from typing import Final

from gateway.wire import Witnessed
from keys.charter import Charter
from keys.tlog.checkpoint import Checkpoint, check_same_log, open_checkpoint
from keys.tlog.errors import TlogError
from keys.tlog.merkle import check_consistency

STALE: Final = 10 * 60_000  # ms after which an old cosignature is worth a warning: somebody may be cut off


@dataclass(frozen=True, slots=True)
class Cosigned:
    """Who has cosigned how much of the log, and when (ms). `wrong` where what was shown does not hold: a sentence."""

    names: tuple[str, ...] = ()
    size: int = 0
    time: int = 0
    reached: bool = False
    wrong: str = ""

    def stale(self, now: int) -> bool:
        """Whether nobody has cosigned for long."""
        return not self.reached or now - self.time > STALE


def judge(charter: Charter, held: Checkpoint | None, answer: Witnessed) -> Cosigned:
    """The gateway's answer, held against the charter and against the checkpoint that this device holds."""
    if not answer.checkpoint:
        return Cosigned()
    try:
        shown = open_checkpoint(answer.checkpoint, [charter.log_verifier()], charter.policy.log_origin)
        given = charter.witness_policy.witnessed(shown)
        if held is not None:
            _check_one_log(held, shown, answer.consistency)
    except TlogError as error:
        return Cosigned(wrong=str(error))
    return Cosigned(given.names, shown.size, given.time * 1000, given.reached)


def _check_one_log(held: Checkpoint, shown: Checkpoint, proof: list[bytes]) -> None:
    check_same_log(held, shown)
    small, large = sorted((held, shown), key=lambda one: one.size)
    check_consistency(small.size, small.root, large.size, large.root, proof)
