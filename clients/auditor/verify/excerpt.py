"""A file of evidence, judged by itself: the keys that its charter names, what stands under the checkpoint, and what can't all be true.

Of entries, each proved to stand in the log, that contradict each other or the charter:

    times        one stands behind another and was logged before it
    places       two stand at one place of a channel, or a later one at an earlier place
    chains       a device's next header does not hold the hash of the one before, or numbers are left out of a stretch that is whole
    heard        what a device has signed that it was given is not what the log has there
    signatures   nobody whose key the charter or the excerpt vouches for has signed it
    withheld     a device spoke after a FLASH or an alert was logged, and again a minute later, and still had not been given it

Nothing else is evidence, however odd it looks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from clients.auditor.verify.claims import Cause
from clients.auditor.verify.entries import CLOCK_TOLERANCE
from keys import evidence as files
from keys.authority import check_approval
from keys.body import read_receipt
from keys.charter import Charter
from keys.credential import Certified
from keys.envelope import NOTHING, Claimed, Entry, Heard, Kind, Precedence, check_body, read, rolling
from keys.errors import BadSignature, KeysError, Malformed
from keys.evidence import Evidence, NoEvidence, Proved
from keys.identity import ChannelId, receipt_stream, verify

PATIENCE: Final = 60_000  # ms after which what is urgent has been given to whoever speaks
FOREVER: Final = 2**63
BY_THE_GATEWAY: Final = frozenset({Kind.CHARTER, Kind.GATEWAY_ACT, Kind.FILLER, Kind.ESCALATION, Kind.REFUSED_ATTEMPT})


@dataclass(frozen=True, slots=True)
class Said:
    """What a file proves, in words, with the entry to look at where there is one."""

    cause: Cause
    rule: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry of the excerpt, read."""

    index: int
    time: int
    channel: bytes
    seq: int
    claimed: Claimed
    body: bytes | None

    @property
    def device(self) -> bytes:
        return self.claimed.context.device

    @property
    def name(self) -> str:
        return self.device.hex()[:8]


def judge(evidence: Evidence, charter: Charter) -> list[Said]:
    """What the file proves.

    Raises:
        NoEvidence: nothing.
    """
    if evidence.kind is files.Kind.FORK:
        return [Said(Cause.FORKED, files.check_fork(evidence, charter))]
    if evidence.kind is files.Kind.REFUSAL:
        return [Said(Cause.INJECTED, files.check_refusal(evidence, charter), evidence.entries[0].index)]
    if evidence.kind is files.Kind.PROMISE:
        return [Said(Cause.MISSING, files.check_promise(evidence, charter))]
    placed = sorted(
        (_placed(proved, entry) for proved, entry in files.entries(evidence, charter)), key=lambda p: p.index
    )
    found = list(contradictions(placed, charter))
    if not found:
        raise NoEvidence("these entries do not contradict each other")
    return found


def _placed(proved: Proved, entry: Entry) -> Placed:
    try:
        claimed = read(entry.envelope)
        if proved.body is not None:
            check_body(claimed, proved.body)
    except KeysError as error:
        raise NoEvidence(f"entry {proved.index}: {error}") from None
    return Placed(proved.index, entry.time, entry.channel, entry.seq, claimed, proved.body)


def contradictions(placed: Sequence[Placed], charter: Charter) -> Iterator[Said]:
    """All that these entries contradict, in the order of the log."""
    yield from _times(placed)
    channels = dict.fromkeys(p.channel for p in placed)
    for channel in channels:
        own = [p for p in placed if p.channel == channel]
        yield from _places(own)
        yield from _chains(own)
        beside = [p for p in placed if p.channel == receipt_stream(ChannelId(channel))]
        yield from _histories(own, [*own, *beside])
        yield from _withheld(own, [*own, *beside])
    yield from _signatures(placed, charter)


def _times(placed: Sequence[Placed]) -> Iterator[Said]:
    latest: Placed | None = None
    for one in placed:
        if latest is not None and one.time < latest.time - CLOCK_TOLERANCE:
            by = (latest.time - one.time) // 1000
            yield Said(
                Cause.REORDERED, f"logged {by} s before entry {latest.index}, which stands in front of it", one.index
            )
        if latest is None or one.time > latest.time:
            latest = one


def _places(own: Sequence[Placed]) -> Iterator[Said]:
    last = 0
    for one in own:
        if one.seq <= last:
            rule = f"place {one.seq} of channel {one.channel.hex()[:8]} comes after place {last}"
            yield Said(Cause.REORDERED, rule, one.index)
        last = max(last, one.seq)


def _chains(own: Sequence[Placed]) -> Iterator[Said]:
    """Of each device: hashes of neighbours, and numbers that a whole stretch of the channel leaves out."""
    last: dict[bytes, Placed] = {}
    seqs = {p.seq for p in own}
    for one in own:
        before, context = last.get(one.device), one.claimed.context
        last[one.device] = one
        if before is None:
            continue
        number = before.claimed.context.number
        if context.number <= number:
            yield Said(
                Cause.REORDERED,
                f"number {context.number} of device {one.name} comes after its number {number}",
                one.index,
            )
        elif context.number == number + 1:
            if context.previous != before.claimed.envelope.link:
                rule = f"device {one.name} holds another hash of entry {before.index} than that has"
                yield Said(Cause.ALTERED, rule, one.index)
        elif all(seq in seqs for seq in range(before.seq, one.seq)):
            rule = f"numbers {number + 1} to {context.number - 1} of device {one.name} are in no place before this"
            yield Said(Cause.MISSING, rule, one.index)


def _statements(placed: Iterable[Placed], channel: bytes) -> Iterator[tuple[Placed, Heard]]:
    """What devices have signed that they were given of a channel."""
    for one in placed:
        heard = one.claimed.context.heard
        if heard.seq:
            yield one, heard
        if one.claimed.context.kind is Kind.RECEIPT and one.body is not None:
            try:
                receipt = read_receipt(one.body)
            except Malformed:
                continue
            if receipt.channel == channel:
                for part in (*receipt.received, *receipt.decrypted, *receipt.shown):
                    yield one, Heard(part.last, part.rolling)


def _histories(own: Sequence[Placed], speaking: Sequence[Placed]) -> Iterator[Said]:
    """The channel's history is built from its beginning, or from what some device had heard, as far as its entries are here."""
    by_seq = {p.seq: p for p in own}
    if not own:
        return
    known: dict[int, tuple[bytes, str]] = {0: (NOTHING, "the channel's beginning")}
    statements = sorted(_statements(speaking, own[0].channel), key=lambda said: (said[1].seq, said[0].index))
    for seq in sorted({0, *by_seq, *(heard.seq for _, heard in statements)}):
        before = known.get(seq - 1)
        if seq and before is not None and seq in by_seq:
            header = by_seq[seq].claimed.envelope.header
            known[seq] = rolling(before[0], header), before[1]
        for one, heard in statements:
            if heard.seq != seq:
                continue
            if seq not in known:
                known[seq] = heard.rolling, f"what device {one.name} had heard"
            elif known[seq][0] != heard.rolling:
                cause = Cause.RECEIPT_WITHOUT_ENTRY if one.claimed.context.kind is Kind.RECEIPT else Cause.FORKED
                rule = f"device {one.name} was given another history up to place {seq} than the log has, from {known[seq][1]} on"
                yield Said(cause, rule, one.index)


def _withheld(own: Sequence[Placed], speaking: Sequence[Placed]) -> Iterator[Said]:
    """A device that was heard after it, and again a minute later, and still had not been given it."""
    for urgent in own:
        context = urgent.claimed.context
        if context.kind not in (Kind.ALERT, Kind.SOS) and context.precedence is not Precedence.FLASH:
            continue
        first: dict[bytes, int] = {}
        for one in sorted(speaking, key=lambda p: p.index):
            if one.index <= urgent.index or one.claimed.context.heard.seq >= urgent.seq:
                continue
            since = first.setdefault(one.device, one.time)
            if one.time - since >= PATIENCE:
                first[one.device] = FOREVER
                by = (one.time - urgent.time) // 1000
                what = f"{context.kind.name} at place {urgent.seq}"
                rule = f"device {one.name} spoke twice since, and had not been given {what} {by} s after it was logged"
                yield Said(Cause.MISSING, rule, one.index)


# ------------------------------------------------------------------ signatures


def _signatures(placed: Sequence[Placed], charter: Charter) -> Iterator[Said]:
    """By keys that the charter names, and those whose approved certificates are in the excerpt."""
    known: dict[bytes, list[Certified]] = {}
    for issuers in charter.policy.issuers:
        for der in issuers.registrars:
            registrar = issuers.verify_registrar(der)
            known.setdefault(registrar.device, []).append(registrar)
    for one in placed:
        kind, envelope = one.claimed.context.kind, one.claimed.envelope
        holders = known.get(one.device, [])
        keys = [charter.policy.gateway_key] if kind in BY_THE_GATEWAY else [c.public_key for c in holders]
        if kind in BY_THE_GATEWAY and one.device != charter.gateway_device:
            yield Said(Cause.INJECTED, f"{kind.name} by another than the gateway", one.index)
        elif keys and envelope.signature and not _signed(one, keys):
            rule = f"device {one.name} did not sign this {kind.name}: its key did not make the signature"
            yield Said(Cause.BAD_SIGNATURE, rule, one.index)
        elif kind is Kind.CERTIFICATE and holders and one.body is not None:
            try:
                certified = charter.verify_certificate(one.body)
                check_approval(certified, holders[-1], charter)
            except KeysError as error:
                yield Said(Cause.INJECTED, f"a certificate that does not count: {error}", one.index)
                continue
            known.setdefault(certified.device, []).append(certified)


def _signed(one: Placed, keys: Iterable[bytes]) -> bool:
    for key in keys:
        try:
            verify(key, one.claimed.context.kind.label, one.claimed.envelope.header, one.claimed.envelope.signature)
        except BadSignature:
            continue
        return True
    return False
