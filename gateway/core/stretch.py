"""New envelopes that go the same way: of one author, one after another in one stream, as a run is accepted.

They are handed to each session that follows the stream as one, in frames that are made once for all.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from gateway.core.rows import Stored
from keys.envelope import CHAINED, ENCRYPTED

_TOGETHER: Final = CHAINED & ENCRYPTED  # content: it goes to everybody in its channel


class Stretch(Struct, frozen=True, gc=False):
    """At least one envelope, no seq between them left out."""

    envelopes: Sequence[Stored]
    bare: int  # bytes of headers and signatures
    longest: int  # body
    bodies: int  # bytes

    @classmethod
    def of(cls, envelopes: Sequence[Stored]) -> "Stretch":
        """Its lengths, counted once for everybody it goes to."""
        bare = longest = bodies = 0
        for stored in envelopes:
            bare += len(stored.header) + len(stored.signature)
            bodies += stored.body_length
            if stored.body_length > longest:
                longest = stored.body_length
        return cls(envelopes, bare, longest, bodies)


def stretches(batch: Sequence[Stored]) -> Iterator[Stretch]:
    """A batch in log order, taken apart: runs of content stay together, everything else goes alone."""
    start = 0
    while start < len(batch):
        first, end = batch[start], start + 1
        if first.kind in _TOGETHER:
            while end < len(batch) and _alike(first, batch[end]):
                end += 1
        yield Stretch.of(batch[start:end])
        start = end


def _alike(one: Stored, other: Stored) -> bool:
    return one.channel == other.channel and one.device == other.device and one.kind is other.kind
