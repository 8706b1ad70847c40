"""A page of one stream, ready to be sent.

A backlog is ten thousand envelopes. So they are held in columns, and each is encoded once, as a delivery carries it (`wire.Placed`), whoever it
goes to: what goes out is joined from those encodings. The body is the end of one, so what a device is not sent along is cut off.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, repeat
from typing import Final

from gateway.core.recipient import Recipient
from keys.canonical import encode, encode_each
from keys.envelope import Kind

Turn = tuple[int, int]
"""Rank and log index of an envelope: the lowest is next."""

PLACING: Final = 64
"""What a delivery adds to header, signature and body (bytes), about: channel, place and msgpack's own."""

_ALERT: Final = int(Kind.ALERT)
_NONE: Final = encode(None)


def rank_of(kind: int, precedence: int) -> int:
    """What goes before what: an alert as FLASH, which is 0."""
    return 0 if kind == _ALERT else precedence


@dataclass(frozen=True, slots=True)
class Page:
    """Envelopes of one stream by seq. Sequences of the same length: log indices rise with the seqs; `ends` are the sums of
    the encodings' bytes, from the first one on."""

    channel: bytes
    seqs: Sequence[int]
    indices: Sequence[int]
    ranks: Sequence[int]
    authors: Sequence[bytes]  # devices
    bodies: Sequence[int]  # lengths of those that are in it; -1: none is
    placed: Sequence[bytes]
    ends: Sequence[int]

    @classmethod
    def of(cls, channel: bytes, rows: Sequence[tuple]) -> "Page":  # type: ignore[type-arg]
        """From rows of seq, index, time, nonce, header, signature, kind, device, precedence, body, and whatever else."""
        if not rows:
            return cls(channel, (), (), (), (), (), (), ())
        columns = tuple(zip(*rows, strict=True))
        seqs, indices, times, nonces, headers, signatures, kinds, authors, precedences, bodies = columns[:10]
        places = zip(seqs, indices, times, nonces, strict=True)
        placed = encode_each(zip(repeat(channel), places, headers, signatures, bodies))
        ranks = precedences if _ALERT not in kinds else tuple(map(rank_of, kinds, precedences))
        lengths = [-1 if body is None else len(body) for body in bodies]
        return cls(channel, seqs, indices, ranks, authors, lengths, placed, list(accumulate(map(len, placed))))

    def __len__(self) -> int:
        return len(self.seqs)

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return self.ends[-1] if self.ends else 0

    def size_of(self, start: int, end: int) -> int:
        """Bytes from one place to before another."""
        return self.ends[end - 1] - (self.ends[start - 1] if start else 0)

    def turn(self, at: int) -> Turn:
        """When the one at this place goes."""
        return self.ranks[at], self.indices[at]

    def part(self, start: int, end: int) -> "Page":
        """From one place to before another."""
        if start == 0 and end == len(self.seqs):
            return self
        some = slice(start, end)
        before = self.ends[start - 1] if start else 0
        return Page(
            self.channel,
            self.seqs[some],
            self.indices[some],
            self.ranks[some],
            self.authors[some],
            self.bodies[some],
            self.placed[some],
            [at - before for at in self.ends[some]] if before else self.ends[some],
        )

    def fitting(self, start: int, most: int, room: int) -> int:
        """To before which place it fits into so many bytes from `start` on, at most so many."""
        before = self.ends[start - 1] if start else 0
        return bisect_right(self.ends, before + room, start, min(len(self.seqs), start + most))

    def going(self, start: int, most: int, room: int, bound: Turn) -> int:
        """To before which place it goes at once from `start` on: of the first one's rank, and none whose turn is `bound` or later; at
        most so many, and no more than what begins below so many bytes. One goes in any case."""
        rank, end = self.ranks[start], min(len(self.seqs), start + most)
        if rank == bound[0]:
            end = bisect_left(self.indices, bound[1], start, end)
        before = self.ends[start - 1] if start else 0
        end = min(end, bisect_left(self.ends, before + room, start, end) + 1)
        after = start + 1
        while after < end and self.ranks[after] == rank:
            after += 1
        return after

    def to(self, recipient: Recipient) -> "Page":
        """As this device is sent it: its own, and what is longer than it wants, without the body."""
        own, most = recipient.device, recipient.carried
        if own not in self.authors and max(self.bodies, default=0) <= most:
            return self
        columns = zip(self.authors, self.bodies, strict=True)
        return self._with([-1 if author == own or body > most else body for author, body in columns])

    def bare(self) -> "Page":
        """Without bodies."""
        return self._with([-1] * len(self))

    def _with(self, bodies: Sequence[int]) -> "Page":
        """With no more than these."""
        columns = zip(self.placed, self.bodies, bodies, strict=True)
        placed = [whole if kept == body else _bare(whole, body) for whole, body, kept in columns]
        return replace(self, bodies=bodies, placed=placed, ends=list(accumulate(map(len, placed))))


def _bare(whole: bytes, body: int) -> bytes:
    """An encoded delivery without its body of so many bytes, which is its end."""
    if body < 0:
        return whole
    head = 2 if body < 1 << 8 else 3 if body < 1 << 16 else 5
    return whole[: -head - body] + _NONE
