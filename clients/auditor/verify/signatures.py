"""Signatures, checked at once or on two threads, and each finding named by the entry that carries it."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from msgspec import Struct

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from keys.envelope import Kind
from keys.errors import BadSignature
from keys.identity import verify

THREADS: Final = 2
BATCH: Final = 512  # signatures handed to a thread at once
LABELS: Final = {kind: kind.label for kind in Kind}
WAITING: Final = 16  # batches on their way, so that memory stays bounded


class Signed(Struct, frozen=True, gc=False):
    """A signature to be checked, and the keys that it may have been made with."""

    index: int
    topic: Topic
    keys: tuple[bytes, ...]
    label: str
    header: bytes
    signature: bytes

    @property
    def holds(self) -> bool:
        """Whether one of the keys made it."""
        for key in self.keys:
            try:
                verify(key, self.label, self.header, self.signature)
            except BadSignature:
                continue
            return True
        return False


def signed(placed: Placed, keys: tuple[bytes, ...], topic: Topic = Topic.SIGNATURES) -> Signed:
    """The signature on an entry; PyNaCl releases the lock while it works, so batches of these run side by side."""
    envelope = placed.claimed.envelope
    return Signed(placed.index, topic, keys, LABELS[placed.context.kind], envelope.header, envelope.signature)


class Signatures:
    """Checks signatures. With `every`, those that the chain would vouch for as well, on two threads."""

    def __init__(self, findings: Findings, *, every: bool) -> None:
        self.every = every
        self.checked = 0
        self._findings = findings
        self._batch: list[Signed] = []
        self._pool = ThreadPoolExecutor(THREADS, "signatures") if every else None
        self._waiting: list[Future[list[Signed]]] = []

    def check(self, one: Signed) -> bool:
        """Check one now; a finding where it does not hold."""
        self.checked += 1
        if one.holds:
            return True
        self._report(one)
        return False

    def later(self, one: Signed) -> None:
        """Check one when a batch is full."""
        self._batch.append(one)
        if len(self._batch) >= BATCH:
            self._hand_over()

    def end(self) -> None:
        """Wait for all that is on its way."""
        self._hand_over()
        while self._waiting:
            self._collect()
        if self._pool is not None:
            self._pool.shutdown()

    def _hand_over(self) -> None:
        batch, self._batch = self._batch, []
        if self._pool is None:
            for one in batch:
                self.check(one)
            return
        self.checked += len(batch)
        self._waiting.append(self._pool.submit(_failing, batch))
        if len(self._waiting) >= WAITING:
            self._collect()

    def _collect(self) -> None:
        for one in self._waiting.pop(0).result():
            self._report(one)

    def _report(self, one: Signed) -> None:
        if one.keys:
            rule = "the signature on this header was not made by the key that counts for its device here"
            self._findings.fail(one.topic, Cause.BAD_SIGNATURE, rule, one.index)
        else:
            self._findings.fail(one.topic, Cause.INJECTED, "signed by a device that no certificate names", one.index)


def _failing(batch: Sequence[Signed]) -> list[Signed]:
    return [one for one in batch if not one.holds]
