"""Evidence out of a log that does not hold: the entries that contradict each other, each with its way up to the signed checkpoint.

Around each finding are taken: the entry before it, its channel up to there, what devices said of that channel, and the certificates by which
they count. What is taken is judged as anybody will judge it (`clients.auditor.verify.excerpt`), and left out where it proves nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from clients.auditor.question import Log, watching
from clients.auditor.verify import Claim, Outcome, Verified
from clients.auditor.verify.entries import Placed, Stream
from clients.auditor.verify.excerpt import Said, judge
from clients.auditor.verify.rosters import Roster
from keys import evidence as files
from keys.body import Receipt
from keys.canonical import encode
from keys.charter import Charter
from keys.envelope import Kind
from keys.errors import KeysError
from keys.evidence import Evidence, NoEvidence, Proved
from keys.receipts import receipts_path
from keys.tlog.checkpoint import Checkpoint
from keys.tlog.entry import decode_bundle
from keys.tlog.errors import TlogError
from keys.tlog.merkle import inclusion_proof
from keys.tlog.reader import LogReader
from keys.tlog.tile import WIDTH, Bundle

BEFORE: Final = 200  # entries of a channel that are taken before a finding
AFTER: Final = 20  # … and after
BESIDE: Final = 60  # of what stands beside it
CERTIFICATES: Final = 150


@dataclass(frozen=True, slots=True)
class Where:
    """An entry's place: what an excerpt is chosen by."""

    index: int
    stream: bytes
    parent: bytes | None
    device: bytes
    kind: Kind


class Places:
    """Watches a reading and remembers where everything stands."""

    def __init__(self) -> None:
        self.all: list[Where] = []

    def entry(self, placed: Placed, stream: Stream) -> None:
        context = placed.context
        self.all.append(Where(placed.index, placed.entry.channel, stream.parent, context.device, context.kind))

    def member(self, placed: Placed, roster: Roster) -> None: ...

    def receipt(self, placed: Placed, receipt: Receipt | None, channel: bytes) -> None: ...

    def around(self, index: int) -> list[int]:
        """The entries that tell what is wrong with this one."""
        here = next((w for w in self.all if w.index == index), None)
        if here is None:
            return []
        channel = here.parent or here.stream
        own = [w.index for w in self.all if w.stream == channel]
        beside = [w.index for w in self.all if w.parent == channel]
        chosen = {index, *(w.index for w in self.all if w.index == index - 1)}
        for indices, before in ((own, BEFORE), (beside, BESIDE)):
            chosen |= {*[n for n in indices if n <= index][-before:], *[n for n in indices if n > index][:AFTER]}
        certificates = [w.index for w in self.all if w.kind is Kind.CERTIFICATE and w.index < index]
        return sorted({*chosen, *certificates[-CERTIFICATES:]})


def excerpts(log: Log, charter: Charter) -> tuple[Verified, list[tuple[Claim, Evidence, list[Said]]]]:
    """Check a log, and make a file of evidence for each finding that names an entry and can be shown by itself."""
    places = Places()
    verified = log.verified(watching(log.asked, places))
    checkpoint = verified.checkpoint
    if checkpoint is None:
        return verified, []
    maker = _Maker(log, checkpoint, charter)
    found, seen = [], set[bytes]()
    for claim in verified.claims:
        if claim.outcome is not Outcome.FAIL or claim.index is None:
            continue
        made = maker.make(places.around(claim.index))
        if made is not None and made[0].name not in seen:
            seen.add(made[0].name)
            found.append((claim, *made))
    return verified, found


def excerpt_around(log: Log, charter: Charter, index: int) -> tuple[Evidence, list[Said]] | None:
    """Evidence that one entry, and what stands around it, shows by itself; None where it shows nothing."""
    places = Places()
    checkpoint = log.verified(watching(log.asked, places)).checkpoint
    return None if checkpoint is None else _Maker(log, checkpoint, charter).make(places.around(index))


class _Maker:
    def __init__(self, log: Log, checkpoint: Checkpoint, charter: Charter) -> None:
        self._fetch = log.source.fetch
        self._checkpoint = checkpoint
        self._charter = charter
        self._reader = LogReader(self._fetch, checkpoint)

    def make(self, indices: Iterable[int]) -> tuple[Evidence, list[Said]] | None:
        """The smallest excerpt that is easily found and still proves something."""
        try:
            proved = [self._proved(index) for index in indices]
            whole = self._judged(proved)
        except (TlogError, OSError):
            return None
        if whole is None:
            return None
        for chosen in _smaller(proved, whole[1]):
            less = self._judged(chosen)
            if less is not None and {s.rule for s in less[1]} >= {s.rule for s in whole[1]}:
                whole = less
                break
        return whole

    def _judged(self, proved: list[Proved]) -> tuple[Evidence, list[Said]] | None:
        made = files.excerpt(self._charter.note, self._checkpoint.encode(), proved)
        try:
            return made, judge(made, self._charter)
        except NoEvidence:
            return None

    def _proved(self, index: int) -> Proved:
        entry = next(iter(self._reader.entries(index))).entries[0]
        path = inclusion_proof(index, self._checkpoint.size, self._reader.hash_at)
        return Proved(index, entry, list(path), self._body(index, entry))

    def _body(self, index: int, entry: bytes) -> bytes | None:
        """What a receipt says, and which certificate was approved."""
        try:
            claimed = files.claimed(entry)
            if claimed.context.kind is Kind.RECEIPT:
                return self._receipt(index, claimed.header.body_hash)
            if claimed.context.kind is Kind.CERTIFICATE:
                return self._fetch(f"body/{claimed.header.body_hash.hex()}")
        except (KeysError, TlogError):
            return None
        return None

    def _receipt(self, index: int, name: bytes) -> bytes:
        number, place = divmod(index, WIDTH)
        bundle = Bundle(number, min(WIDTH, self._checkpoint.size - number * WIDTH))
        try:
            return decode_bundle(self._fetch(receipts_path(bundle)), bundle.width)[place]
        except TlogError:
            return self._fetch(f"body/{name.hex()}")


def _smaller(proved: list[Proved], found: list[Said]) -> Iterator[list[Proved]]:
    """The entries named alone, with those that stand before them; then with ever more of them."""
    named = {said.index for said in found if said.index is not None}
    for before in (1, 4, 16, 64):
        chosen = set[int]()
        for place, one in enumerate(proved):
            if one.index in named:
                chosen |= set(range(max(0, place - before), place + 1))
        if len(chosen) < len(proved):
            yield [proved[place] for place in sorted(chosen)]


def size_of(made: Evidence) -> int:
    """Bytes of the file."""
    return len(encode(made)) + len(files.MAGIC)
