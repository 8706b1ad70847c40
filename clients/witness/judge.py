"""A witness's judgement: the bytes of a request in, the answer out (c2sp.org/tlog-witness, "add-checkpoint").

The rules are asked in the order of the specification, so that what a log learns by an answer is the same at every witness. What
passes all of them is cosigned, stored, and only then said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from clients.witness.store import Record, WitnessStore
from keys.tlog.checkpoint import TreeHead, decode_decimal
from keys.tlog.errors import BadSignature, Inconsistent, Malformed, ProofFailed, TooLarge, UnknownKey
from keys.tlog.merkle import EMPTY_ROOT, check_consistency
from keys.tlog.note import Signature, decode_base64, open_note
from keys.tlog.witness import SIZE_TYPE, AddCheckpoint, encode_cosignatures, encode_size

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said over HTTP."""

    status: int
    body: bytes = b""
    content_type: str = TEXT


class Cosigner(Protocol):
    """One of the witness's keys."""

    def cosign(self, head: TreeHead, time: int) -> Signature:
        """The line for a checkpoint, at a time in POSIX seconds."""


class Judge:
    """A witness without its sockets. `now` gives POSIX seconds. For any number of threads."""

    def __init__(self, store: WitnessStore, cosigners: Sequence[Cosigner], now: Callable[[], int]) -> None:
        self._store = store
        self._cosigners = cosigners
        self._now = now

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one request. Raises apsw.Error where the store can't keep what would be said: nothing is said then."""
        try:
            request = AddCheckpoint.decode(body)
        except (Malformed, TooLarge) as error:
            return _refuse(400, error)
        held = self._store.record(request.origin)
        if held is None:
            return _refuse(404, "this witness does not know the log")
        try:
            opened = open_note(request.checkpoint, held.verifiers)
            head = TreeHead.decode_extended(opened.text)
        except (UnknownKey, BadSignature) as error:
            return _refuse(403, error)
        except Malformed as error:
            return _refuse(422 if _is_empty_with_a_root(request) else 400, error)
        if request.old > head.size:
            return _refuse(400, "the old size is above the checkpoint's")
        if head.size == held.size and head.root != held.root:
            self._store.accuse(held, request.checkpoint.encode())
        if request.old != held.size:
            return _conflict(held)
        try:
            check_consistency(held.size, held.root, head.size, head.root, request.proof)
        except (Inconsistent, ProofFailed) as error:
            return _refuse(422, error)
        return self._cosign(request, opened.verified, held, head)

    def _cosign(self, request: AddCheckpoint, by_log: tuple[Signature, ...], held: Record, head: TreeHead) -> Answer:
        time = max(self._now(), held.time, 1)  # never 0, and never before an earlier one, whatever the clock does
        lines = tuple(cosigner.cosign(head, time) for cosigner in self._cosigners)
        note = type(request.checkpoint)(request.checkpoint.text, (*by_log, *lines)).encode()
        if not self._store.advance(held, head, time, note):
            # Another request was faster: this one was checked against a head that is not the newest any more.
            newest = self._store.record(held.origin)
            return _refuse(404, "this witness does not know the log") if newest is None else _conflict(newest)
        return Answer(200, encode_cosignatures(lines))

    def checkpoint(self, path: str) -> Answer:
        """The newest checkpoint cosigned of the log at this path: the log's own lines that were verified, and ours."""
        held = self._store.by_path(path)
        return Answer(200, held.note) if held is not None and held.note else _refuse(404, "nothing is cosigned there")


def _conflict(held: Record) -> Answer:
    return Answer(409, encode_size(held.size), SIZE_TYPE)


def _refuse(status: int, why: object) -> Answer:
    return Answer(status, f"{why}\n".encode("utf-8", "replace"))


def _is_empty_with_a_root(request: AddCheckpoint) -> bool:
    """Whether the text is a checkpoint but for this: size 0, and a root that is not the empty tree's."""
    lines = request.checkpoint.text.split("\n")
    try:
        return len(lines) >= 4 and decode_decimal(lines[1]) == 0 and decode_base64(lines[2]) != EMPTY_ROOT
    except Malformed:
        return False
