"""A log that could not go on, and the one that takes its place.

A log that lost entries which it had signed for may never sign again: whatever it signed next would contradict what others
hold. Its mission gives it a successor: another origin, with keys of its own, whose first entry is the charter that names the
`Predecessor`: the newest head known of the old log, and how many of its entries are still there.

    predecessor = policy.predecessor                    # from the charter in the new log's first entry
    kept = predecessor.check(old_checkpoint)            # of the old log's folder, as far as there is one

What that gives is what the old folder shows of the old log. `predecessor.missing` is the range that nobody can show any more;
an auditor reports it as such. A head of the old log that somebody kept outside counts on: `covers` says whether the new log
owns up to it. A head that is larger than the one cited, or another one of the same size, convicts who founded the new log.
"""

from __future__ import annotations

from dataclasses import dataclass

from keys.tlog.checkpoint import Checkpoint, TreeHead
from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import Inconsistent, Malformed, WrongOrigin
from keys.tlog.note import NoteVerifier


@dataclass(frozen=True, slots=True)
class Predecessor:
    """A log that ended: its origin and verifier keys, the newest head known of it, and how many entries are left of it."""

    origin: str
    keys: tuple[str, ...]
    size: int
    root: bytes
    kept: int

    def __post_init__(self) -> None:
        TreeHead(self.origin, self.size, self.root)
        if not self.keys or any(verifier.name != self.origin for verifier in self.verifiers):
            raise Malformed("a log's keys are named as its origin, and there is one at least")
        if not 0 <= self.kept <= self.size:
            raise Malformed("of a log that ended no more is kept than its newest head covers")

    @property
    def head(self) -> TreeHead:
        """The newest head known."""
        return TreeHead(self.origin, self.size, self.root)

    @property
    def verifiers(self) -> list[NoteVerifier]:
        """The old log's keys; raises Malformed where one is none."""
        return [verifier_of(key) for key in self.keys]

    @property
    def missing(self) -> range:
        """Log indices of the entries that were signed for and that nobody can show."""
        return range(self.kept, self.size)

    def covers(self, head: TreeHead) -> bool:
        """Whether the head cited is no older than this one, kept by somebody of the old log.

        Raises WrongOrigin where it is of another log, Inconsistent where it has the size of the one cited and another root.
        """
        if head.origin != self.origin:
            raise WrongOrigin(f"a head of {head.origin!r}, not of {self.origin!r}")
        if head.size == self.size and head.root != self.root:
            raise Inconsistent(f"two roots for {self.size} entries of {self.origin}")
        return head.size <= self.size

    def check(self, checkpoint: Checkpoint) -> int:
        """What a stored part of the old log shows: how many entries, from the first on, of those that the head covers.

        `checkpoint` is one that its keys have signed, and that its tiles lead to. Whether a smaller tree is a beginning of the one
        cited can't be told without what is lost. Raises WrongOrigin, or Inconsistent where the old log signed for more than was
        cited, or for another tree of that size: evidence against who founded the new one.
        """
        if not self.covers(checkpoint.head):
            raise Inconsistent(f"{self.origin} signed for {checkpoint.size} entries, and {self.size} were cited")
        return checkpoint.size
