"""What receipts say, held against the log: what their devices have got, which log they have seen, which epoch they are in.

    ranges      each ends at a place that the log has, with the rolling hash that the log has there; whatever a device was given and the
                log has not got was kept from the log, and the device's signature says so
    seen        the checkpoint that the device had verified is one of this log
    confirmed   all who confirm an epoch confirm the same; who differs was led into another group, and is named

A receipt's body is not in its entry: it stands beside the log's bundles (`keys.receipts`), or by its hash in an export.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Stream
from clients.auditor.verify.heads import Fetch
from keys.body import Confirmed, Range, Receipt, read_receipt
from keys.errors import Malformed
from keys.receipts import decode_receipts, receipts_path
from keys.tlog import errors
from keys.tlog.errors import NotFound
from keys.tlog.tile import WIDTH, Bundle

Roots = Callable[[int], bytes | None]
"""The root of the log's first so many entries; None where it is damaged, which was reported."""


@dataclass(slots=True)
class Epoch:
    """Who has confirmed an epoch, by what they confirmed: (device, log index)."""

    said: dict[bytes, list[tuple[bytes, int]]] = field(default_factory=dict)


class Receipts:
    """Checks the receipts of one reading, in their order."""

    def __init__(self, fetch: Fetch, findings: Findings) -> None:
        self.read = 0
        self.epochs: dict[tuple[bytes, int], Epoch] = {}
        self._seen: dict[tuple[int, bytes], tuple[int, bytes]] = {}  # size and root: the first who said so
        self._absent = 0
        self._first_absent: int | None = None
        self._beside = Beside(fetch, findings)
        self._findings = findings

    def take(self, index: int, header: bytes, device: bytes, channel: Stream, epoch: int | None) -> Receipt | None:
        """The receipt of a device about a channel at its present place; `epoch` is the channel's, None where that is not known.

        Gives what it says, if it is there and is one.
        """
        body = self._beside.get(index, header[-32:])  # header = [context, length of body, SHA-256 of body]
        if body is None:
            self._absent += 1
            self._first_absent = index if self._first_absent is None else self._first_absent
            return None
        try:
            receipt = read_receipt(body)
            if receipt.channel != channel.id:
                raise Malformed("about another channel than the one that it stands beside")
        except Malformed as error:
            self._findings.fail(Topic.RECEIPTS, Cause.INJECTED, f"no receipt: {error}", index)
            return None
        self.read += 1
        for part in (*receipt.received, *receipt.decrypted, *receipt.shown):
            if not self._holds(part, index, device, channel):
                break
        if receipt.seen is not None:
            self._seen.setdefault((receipt.seen.size, receipt.seen.root), (index, device))
        if receipt.confirmed is not None:
            self._confirm(receipt.confirmed, index, device, channel, epoch)
        return receipt

    def _holds(self, part: Range, index: int, device: bytes, channel: Stream) -> bool:
        """Whether the log has what a range covers."""
        rule, name = "", device.hex()[:8]
        if part.last > channel.seq:
            rule = f"device {name} has got place {part.last}, and the log has {channel.seq} before this"
        else:
            rolling = channel.heard_at(part.last)
            if rolling is not None and rolling != part.rolling:
                rule = f"device {name} has got other envelopes up to place {part.last} than the log has there"
        if rule:
            self._findings.fail(Topic.RECEIPTS, Cause.RECEIPT_WITHOUT_ENTRY, rule, index)
        return not rule

    def _confirm(self, said: Confirmed, index: int, device: bytes, channel: Stream, epoch: int | None) -> None:
        if epoch is not None and said.epoch > epoch:
            rule = f"device {device.hex()[:8]} confirms epoch {said.epoch}, and epoch {epoch} is in force"
            self._findings.fail(Topic.EPOCHS, Cause.FORKED, rule, index)
            return
        record = self.epochs.setdefault((channel.id, said.epoch), Epoch())
        record.said.setdefault(said.digest, []).append((device, index))

    # ------------------------------------------------------------------ once all was read

    def end(self, root_at: Roots | None = None, *, stopped: bool = False) -> None:
        """Hold what was seen against the tree, and what was confirmed against each other."""
        self._end_seen(root_at)
        for (channel, epoch), record in self.epochs.items():
            for device, index in odd(record):
                rule = f"device {device.hex()[:8]} confirms another epoch {epoch} of channel {channel.hex()[:8]} than the others"
                self._findings.fail(Topic.EPOCHS, Cause.FORKED, rule, index)
        if self._absent:
            rule = f"{self._absent} receipts are not here: export them with the log (receipts/…), who has what rests on them"
            for topic in (Topic.RECEIPTS, Topic.EPOCHS):
                self._findings.unchecked(topic, rule, self._first_absent)
        if not stopped:  # else what was not asked for is not to be wondered at
            self._beside.end()
        self._findings.note(Topic.RECEIPTS, f"{self.read} read")
        agreed = sum(len(record.said) == 1 for record in self.epochs.values())
        self._findings.note(Topic.EPOCHS, f"{agreed} epochs confirmed")

    def _end_seen(self, root_at: Roots | None) -> None:
        for (size, root), (index, device) in sorted(self._seen.items()):
            name = device.hex()[:8]
            if size > index:
                rule = (
                    f"device {name} had verified a log of {size} entries, and this one has {index} before its receipt"
                )
            elif root_at is None or (found := root_at(size)) is None or found == root:
                continue
            else:
                rule = f"device {name} had verified another log of {size} entries"
            self._findings.fail(Topic.HEARD, Cause.FORKED, rule, index)


def odd(record: Epoch) -> list[tuple[bytes, int]]:
    """Who differs from most of those who confirmed; all of them where there is no majority."""
    if len(record.said) < 2:
        return []
    groups = sorted((list(dict(who).items()) for who in record.said.values()), key=len, reverse=True)
    minority = groups[1:] if len(groups[0]) > len(groups[1]) else groups
    return [one for group in minority for one in group]


class Beside:
    """Bodies of receipts, a bundle of them at a time; each is the one that its header names."""

    def __init__(self, fetch: Fetch, findings: Findings) -> None:
        self._fetch = fetch
        self._findings = findings
        self._bundle = -1
        self._bodies: list[bytes] = []
        self._next = 0  # the first place that nothing has asked for
        self._path = ""

    def get(self, index: int, name: bytes) -> bytes | None:
        """The body of the receipt at this log index, by its SHA-256; None where it is not here, or altered and reported."""
        number, place = divmod(index, WIDTH)
        if number != self._bundle:
            self.end()
            self._open(number)
            self._next = place
        if not self._bodies:
            return self._by_hash(name, index)
        self._pass_over(place)
        self._next = place + 1
        body = self._bodies[place]
        if sha256(body).digest() == name:
            return body
        rule = "the receipt stored here is not the one that the entry's header names"
        self._findings.fail(Topic.BODIES, Cause.ALTERED, rule, index, self._path)
        return None

    def _open(self, number: int) -> None:
        self._bundle, self._bodies = number, []
        width = min(WIDTH, self._findings.size - number * WIDTH)
        bundle = Bundle(number, width)
        self._path = receipts_path(bundle)
        try:
            self._bodies = self._decoded(bundle)
        except NotFound:
            return
        except (errors.Malformed, errors.TooLarge) as error:
            rule = f"no bundle of receipts: {error}"
            self._findings.fail(Topic.BODIES, Cause.ALTERED, rule, bundle.start, self._path)

    def _decoded(self, bundle: Bundle) -> list[bytes]:
        try:
            return decode_receipts(self._fetch(self._path), bundle.width)
        except NotFound:
            if bundle.width == WIDTH:
                raise
            self._path = receipts_path(bundle.full)  # the full one has taken its place, as with tiles
            return decode_receipts(self._fetch(self._path), WIDTH)[: bundle.width]

    def _by_hash(self, name: bytes, index: int) -> bytes | None:
        path = f"body/{name.hex()}"
        try:
            body = self._fetch(path)
        except NotFound:
            return None
        if sha256(body).digest() == name:
            return body
        rule = "the body stored under this name is not the one that the entry's header names"
        self._findings.fail(Topic.BODIES, Cause.ALTERED, rule, index, path)
        return None

    def _pass_over(self, until: int) -> None:
        """What stands between two receipts is empty."""
        for place in range(self._next, until):
            if self._bodies[place]:
                rule = "a body stands beside an entry that is no receipt"
                self._findings.fail(Topic.BODIES, Cause.ALTERED, rule, self._bundle * WIDTH + place, self._path)

    def end(self) -> None:
        """The rest of the bundle holds nothing more."""
        if self._bodies:
            self._pass_over(len(self._bodies))
            self._bodies = []
