"""What the answers of `gaps`, `reconcile` and `members` rest on: the log has to hold before anything that it says counts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from clients.auditor.verify import Claim, Outcome, Topic, Verified
from clients.core.text import visible

WIDTH: Final = 80
_LOG: Final = frozenset({Topic.CHECKPOINT, Topic.TREE, Topic.ENTRIES})
YES: Final = 0
NO: Final = 1
UNCHECKED: Final = 7


@dataclass(frozen=True, slots=True)
class Standing:
    """The claims that an answer rests on and that did not pass."""

    against: tuple[Claim, ...]

    @classmethod
    def of(cls, verified: Verified, topics: Iterable[Topic]) -> "Standing":
        """Of the log itself, and of these topics."""
        wanted = _LOG | set(topics)
        return cls(tuple(c for c in verified.claims if c.claim in wanted and c.outcome is not Outcome.PASS))

    def exit(self, answer: int) -> int:
        """The exit code: a failed claim and a bad answer are 1, what could not be checked 7."""
        outcomes = {claim.outcome for claim in self.against}
        if Outcome.FAIL in outcomes or answer == NO:
            return NO
        return UNCHECKED if outcomes else answer

    def lines(self) -> Iterator[str]:
        """For a person: what speaks against it."""
        for claim in self.against:
            place = "" if claim.index is None else f"entry {claim.index}: "
            text = f"{claim.outcome:<9} {claim.claim}: {place}{visible(claim.rule)}"
            yield from wrap(text, WIDTH, subsequent_indent=" " * 10)

    def objects(self) -> list[dict[str, object]]:
        """As JSON."""
        return [
            {"claim": c.claim, "outcome": c.outcome, "index": c.index, "rule": c.rule, "cause": c.cause}
            for c in self.against
        ]


def ranges(seqs: Iterable[int]) -> str:
    """Rising numbers in few words: 3-5, 9."""
    found: list[list[int]] = []
    for seq in seqs:
        if found and seq == found[-1][1] + 1:
            found[-1][1] = seq
        else:
            found.append([seq, seq])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)
