"""The chain of each device in each stream: numbers without a gap, each header holding the hash of the one before.

    number, attempt    1, 2, 3 …; a number stands in the log once, whatever attempt it was
    previous           SHA-256(header ‖ signature) of the envelope before, as the log has it
    runs               envelopes without a signature, closed by a signed one, all of it one after another in the log

A signature on one envelope so vouches, hash by hash, for all before it. The newest of each chain is checked when the log has
been read; each of them with `--every-signature`.
"""

from dataclasses import dataclass
from hashlib import sha256

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.signatures import Signatures, Signed, signed
from keys.envelope import CHAINED, NOTHING, RUN_LIMIT

Keys = tuple[bytes, ...]


@dataclass(slots=True)
class Chain:
    """One device in one stream, up to its last envelope read."""

    number: int = 0
    link: bytes = NOTHING
    index: int = -1  # of the last envelope
    newest: Signed | None = None  # its newest signature, which nothing after it has vouched for
    run: int = 0  # unsigned envelopes at the end, not closed yet
    device: bytes = b""


class Chains:
    """All chains; takes the entries in their order, each with the keys that count for its device at that moment."""

    def __init__(self, findings: Findings, signatures: Signatures) -> None:
        self.all: dict[tuple[bytes, bytes], Chain] = {}
        self.keyless: dict[bytes, int] = {}  # streams whose authors' keys are not known, and where first
        self._findings = findings
        self._signatures = signatures
        self.open: Chain | None = None  # whose run is not closed

    def take(
        self, placed: Placed, keys: Keys | None, topic: Topic = Topic.SIGNATURES, *, at_once: bool = False
    ) -> None:
        """The next envelope. `keys` is None where nothing here can tell them; with none of them nobody may have signed.

        With `at_once` its own signature is checked now, since what it does rests on it.
        """
        context = placed.claimed.context
        name = (context.device, context.channel)
        chain = self.all.get(name)
        if chain is None:
            chain = self.all[name] = Chain(device=context.device)
        if self.open is not None and self.open is not chain:
            self._left_open(self.open)
        if context.number != chain.number + 1:
            self._misnumbered(placed, chain)
        elif context.previous != chain.link:
            self._broken(placed, chain)
        envelope = placed.claimed.envelope
        self._run(placed, chain)
        if keys is None:
            self.keyless.setdefault(context.channel, placed.index)
        elif envelope.signature:
            self._sign(signed(placed, keys, topic), chain, at_once=at_once)
        chain.number = context.number
        chain.link = sha256(envelope.header + envelope.signature).digest()
        chain.index = placed.index

    def close(self, chain: Chain, newest: Signed) -> None:
        """The signature that ends a run, against whose envelopes nothing speaks."""
        chain.run, self.open = 0, None
        self._sign(newest, chain, at_once=False)

    def _sign(self, newest: Signed, chain: Chain, *, at_once: bool) -> None:
        if at_once:
            self._signatures.check(newest)
        elif self._signatures.every:
            self._signatures.later(newest)
        chain.newest = None if at_once else newest

    def _run(self, placed: Placed, chain: Chain) -> None:
        """Counts the envelopes of a run, and refuses one that `keys.envelope.verify_run` would refuse."""
        if not placed.claimed.envelope.signature:  # only of kinds that may: `read` has seen to it
            chain.run += 1
            self.open = chain
            return
        if chain.run and placed.context.kind not in CHAINED:
            rule = "a kind that is always signed closes the run of another"
            self._findings.fail(Topic.CHAINS, Cause.INJECTED, rule, placed.index)
        if chain.run >= RUN_LIMIT:
            rule = f"a run of {chain.run + 1} envelopes, over {RUN_LIMIT}"
            self._findings.fail(Topic.CHAINS, Cause.INJECTED, rule, placed.index)
        chain.run = 0
        self.open = None

    def _left_open(self, chain: Chain) -> None:
        rule = f"the run of device {chain.device.hex()[:8]} ends here without the signature that closes it"
        self._findings.fail(Topic.CHAINS, Cause.MISSING, rule, chain.index)
        chain.run = 0
        self.open = None

    def _misnumbered(self, placed: Placed, chain: Chain) -> None:
        device, number = placed.context.device.hex()[:8], placed.context.number
        if number > chain.number:
            rule = f"numbers {chain.number + 1} to {number - 1} of device {device} are not in its channel"
            self._findings.fail(Topic.CHAINS, Cause.MISSING, rule, placed.index)
        else:
            rule = f"number {number} of device {device} comes after its number {chain.number}"
            self._findings.fail(Topic.CHAINS, Cause.REORDERED, rule, placed.index)

    def _broken(self, placed: Placed, chain: Chain) -> None:
        """Two entries disagree: the earlier is to blame if its own signature fails, or if it has none."""
        newest = chain.newest
        if newest is not None and newest.index == chain.index and not newest.holds:
            rule = f"the header is not the one that was signed; entry {placed.index} still holds the hash of that"
            self._findings.fail(Topic.CHAINS, Cause.ALTERED, rule, chain.index)
        elif chain.run:
            rule = f"its hash is not the one that its device put into entry {placed.index}"
            self._findings.fail(Topic.CHAINS, Cause.ALTERED, rule, chain.index)
        else:
            rule = f"it holds another hash of entry {chain.index} than that has"
            self._findings.fail(Topic.CHAINS, Cause.ALTERED, rule, placed.index)

    def end(self) -> None:
        """Check the newest signature of each chain, and say which runs are open and which keys nobody knows."""
        if self.open is not None:
            rule = f"the last {self.open.run} envelopes are of a run whose end is not logged yet"
            self._findings.unchecked(Topic.SIGNATURES, rule, self.open.index)
        for chain in self.all.values():
            if chain.newest is not None and not self._signatures.every:
                self._signatures.check(chain.newest)
        for channel, index in self.keyless.items():
            rule = f"channel {channel.hex()[:8]}: whose keys count there is not known from entry {index} on"
            self._findings.unchecked(Topic.SIGNATURES, rule, index)
        self._findings.note(Topic.CHAINS, f"{len(self.all)} chains")
