"""The log as such: its checkpoint, its tiles and entries, a head that somebody kept outside, and an earlier verification.

A log that was cut back to an older state, or rewritten, is sound in itself; only a head from outside tells. So a log is WHOLE
against such a head, and CONSISTENT without one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from clients.auditor.verify.claims import Cause, Findings, Topic
from keys.charter import Charter
from keys.envelope import Entry, read_entry
from keys.errors import Malformed
from keys.tlog import errors
from keys.tlog.checkpoint import Checkpoint, TreeHead, absent_keys, open_checkpoint
from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import Damaged, Fault, NotFound, TlogError
from keys.tlog.merkle import Frontier, frontier_of
from keys.tlog.note import Note, NoteVerifier
from keys.tlog.policy import TrustPolicy
from keys.tlog.reader import LogReader
from keys.tlog.succession import Predecessor

CHECKPOINT_PATH: Final = "checkpoint"
WITNESSED_PATH: Final = "witnessed"
Fetch = Callable[[str], bytes]
"""Bytes by path: `checkpoint`, tiles, bundles and `body/<hex>`; raises NotFound. What it gives is checked, so it may lie."""


@dataclass(frozen=True, slots=True)
class OutsideHead:
    """A head that somebody kept outside the log's own storage; `note` where it was kept as a whole checkpoint."""

    head: TreeHead
    note: Note | None


def log_keys(text: str) -> list[NoteVerifier]:
    """The keys in a text of verifier keys, one a line (C2SP signed-note), all of one log.

    Raises:
        TlogError: a line is none, or they name different logs.
    """
    keys = [verifier_of(line.strip()) for line in text.splitlines() if line.strip()]
    if not keys or len({key.name for key in keys}) != 1:
        raise errors.Malformed("the keys of one log, each a line: name+hex+base64")
    return keys


def check_checkpoint(fetch: Fetch, keys: Sequence[NoteVerifier], findings: Findings) -> Checkpoint | None:
    """The checkpoint that the log shows, if every one of these keys has signed it."""
    topic = Topic.CHECKPOINT
    try:
        data = fetch(CHECKPOINT_PATH)
        checkpoint = open_checkpoint(data, keys, keys[0].name)
    except NotFound:
        findings.fail(topic, Cause.MISSING, "there is no checkpoint", tile=CHECKPOINT_PATH)
        return None
    except (errors.Malformed, errors.TooLarge) as error:
        findings.fail(topic, Cause.ALTERED, f"not a checkpoint: {error}", tile=CHECKPOINT_PATH)
        return None
    except TlogError as error:  # UnknownKey, BadSignature, WrongOrigin
        findings.fail(
            topic, Cause.BAD_SIGNATURE, f"not signed by the key of {keys[0].name}: {error}", tile=CHECKPOINT_PATH
        )
        return None
    if absent := absent_keys(checkpoint, keys):
        kinds = ", ".join(f"{key.name} {key.key_id.hex()}" for key in absent)
        findings.fail(topic, Cause.BAD_SIGNATURE, f"no line by {kinds}", tile=CHECKPOINT_PATH)
    findings.note(topic, _lines(checkpoint))
    findings.size = checkpoint.size
    return checkpoint


def check_charter_keys(checkpoint: Checkpoint, charter: Charter, findings: Findings) -> None:
    """Whether each key by which the log signs, as its charter in force has it, signed the checkpoint: also one that was not given."""
    given = {(line.name, line.key_id) for line in checkpoint.verified}
    for key in charter.log_verifiers:
        lines = [line for line in checkpoint.note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
        try:
            for line in () if (key.name, key.key_id) in given else lines:
                key.verify(checkpoint.note.text, line.signature)
        except TlogError as error:
            findings.fail(Topic.CHECKPOINT, Cause.BAD_SIGNATURE, str(error), tile=CHECKPOINT_PATH)
        if not lines:
            rule = f"no line by {key.name} {key.key_id.hex()}, which the charter names"
            findings.fail(Topic.CHECKPOINT, Cause.BAD_SIGNATURE, rule, tile=CHECKPOINT_PATH)


def _lines(checkpoint: Checkpoint) -> str:
    passed_over = len(checkpoint.note.signatures) - len(checkpoint.verified)
    return f"{checkpoint.size} entries" + (f"; {passed_over} lines by keys not given" if passed_over else "")


def open_checkpoint_of(fetch: Fetch, keys: Sequence[NoteVerifier]) -> Checkpoint:
    """The checkpoint that a log shows, signed by a key of the log. Raises TlogError, OSError."""
    return open_checkpoint(fetch(CHECKPOINT_PATH), keys, keys[0].name)


def check_witnesses(
    fetch: Fetch, keys: Sequence[NoteVerifier], tree: "Tree", policy: TrustPolicy, findings: Findings
) -> None:
    """Whether this policy's witnesses have cosigned the log: its checkpoint, or the newest that was shown to them.

    Witnesses are shown a checkpoint a minute, so a newer head than they have seen is nobody's fault. What they have seen has to
    be a beginning of this tree; what they have seen and is not here was cut off.
    """
    topic, newest = Topic.COSIGNATURES, tree.checkpoint
    try:
        given, path, size = policy.witnessed(newest), CHECKPOINT_PATH, newest.size
        if not given.reached and (shown := _witnessed(fetch, keys)) is not None:
            given, path, size = policy.witnessed(shown), WITNESSED_PATH, shown.size
            if size > newest.size and open_checkpoint_of(fetch, keys).size >= size:
                findings.unchecked(topic, "the log has grown, and was cosigned, while it was read: verify it again")
                return
            if size > newest.size:
                rule = f"witnesses have cosigned {size} entries, and only {newest.size} are left"
                findings.fail(topic, Cause.CUT, rule, newest.size, path)
                return
            if tree.root_at(size) != shown.root:
                rule = f"the first {size} entries are not those that witnesses have cosigned"
                findings.fail(topic, Cause.FORKED, rule, tile=path)
                return
    except TlogError as error:
        rule = f"a cosigned checkpoint does not hold: {error}"
        findings.fail(topic, Cause.BAD_SIGNATURE, rule, tile=WITNESSED_PATH)
        return
    names = ", ".join(given.names) or "nobody"
    if given.reached:
        findings.note(topic, f"{size} of {newest.size} entries, by {names}")
    else:
        findings.unchecked(topic, f"cosigned by {names}; the policy asks for {policy.quorum}")


def _witnessed(fetch: Fetch, keys: Sequence[NoteVerifier]) -> Checkpoint | None:
    """The newest checkpoint that was shown to witnesses, with their lines; None where none is stored."""
    try:
        return open_checkpoint(fetch(WITNESSED_PATH), keys, keys[0].name)
    except NotFound:
        return None


def check_predecessor(fetch: Fetch, before: Predecessor | None, findings: Findings) -> None:
    """Whether a log that is at hand is the one whose place this log says that it takes, up to the head that was cited.

    What that log holds is not judged here: verify it by itself, with its own key and charter.
    """
    topic = Topic.PREDECESSOR
    if before is None:
        findings.unchecked(topic, "this log's first charter names no log before it")
        return
    try:
        checkpoint = open_checkpoint(fetch(CHECKPOINT_PATH), before.verifiers[:1], before.origin)
        kept = before.check(checkpoint)
        LogReader(fetch, checkpoint).check_tiles()
    except NotFound:
        findings.fail(topic, Cause.MISSING, f"there is no checkpoint of {before.origin}", tile=CHECKPOINT_PATH)
    except errors.Inconsistent as error:
        findings.fail(topic, Cause.FORKED, str(error), tile=CHECKPOINT_PATH)
    except Damaged as error:
        findings.fail(topic, Cause(error.cause.value), str(error), error.index, error.tile)
    except TlogError as error:
        findings.fail(topic, Cause.BAD_SIGNATURE, f"not {before.origin}: {error}", tile=CHECKPOINT_PATH)
    else:
        if kept < before.kept:
            rule = f"{before.kept} entries of it were said to be kept, and {kept} are here"
            findings.fail(topic, Cause.CUT, rule, tile=CHECKPOINT_PATH)
        findings.note(topic, f"{before.origin}: {kept} of the {before.size} entries that it signed for are here")


class Tree:
    """The stored tree under a checkpoint: a reader whose faults become findings."""

    def __init__(self, fetch: Fetch, checkpoint: Checkpoint, findings: Findings) -> None:
        self._findings = findings
        self._seen: set[Fault] = set()
        self.checkpoint = checkpoint
        self.reader = LogReader(fetch, checkpoint, report=self._report)
        self._hash_at = lru_cache(maxsize=4_096)(self.reader.hash_at)

    def _report(self, fault: Fault) -> None:
        if fault not in self._seen:  # a tile may be read more than once
            self._seen.add(fault)
            self._findings.fail(Topic.TREE, Cause(fault.cause.value), fault.why, fault.index, fault.tile)

    def check_rest(self, paths: Iterable[str]) -> None:
        """Files that the checkpoint does not call for: older partial ones are checked, others are counted."""
        beyond = self.reader.check_rest(paths)
        if beyond:
            self._findings.note(Topic.TREE, f"{len(beyond)} files are not of this checkpoint, as {beyond[0]}")

    def check_head(self, outside: OutsideHead) -> None:
        """Holds the log against a head from outside; the log must have all that the head covers."""
        head = outside.head
        if head.origin != self.checkpoint.origin:
            self._findings.unchecked(Topic.HEAD, f"the head is of another log, {head.origin}")
        elif head.size > self.checkpoint.size:
            rule = f"the head covers {head.size} entries, and only {self.checkpoint.size} are left"
            self._findings.fail(Topic.HEAD, Cause.CUT, rule, self.checkpoint.size, CHECKPOINT_PATH)
        elif self._root(head.size) != head.root:
            rule = f"the first {head.size} entries are not those that the head covers"
            self._findings.fail(Topic.HEAD, Cause.FORKED, rule, tile=CHECKPOINT_PATH)
        else:
            self._findings.note(Topic.HEAD, f"it covers {head.size} of {self.checkpoint.size} entries")
            self._check_lines(outside)

    def _check_lines(self, outside: OutsideHead) -> None:
        """The log signs each tree once, so its own lines under the same tree are the same, whether or not their key was given."""
        if outside.note is None or outside.note.text != self.checkpoint.note.text:
            return
        kept, stored = (
            {line for line in note.signatures if line.name == self.checkpoint.origin}
            for note in (outside.note, self.checkpoint.note)
        )
        if not kept <= stored:
            rule = "a signature line of the log is not as it was kept outside"
            self._findings.fail(Topic.CHECKPOINT, Cause.ALTERED, rule, tile=CHECKPOINT_PATH)

    def check_since(self, earlier: Frontier) -> bool:
        """Whether the log has grown from the tree of an earlier verification."""
        if earlier.size > self.checkpoint.size:
            rule = f"{earlier.size} entries were verified earlier, and only {self.checkpoint.size} are left"
            self._findings.fail(Topic.SINCE, Cause.CUT, rule, self.checkpoint.size, CHECKPOINT_PATH)
            return False
        if self._root(earlier.size) != earlier.root:
            rule = f"the first {earlier.size} entries are not those that were verified earlier"
            self._findings.fail(Topic.SINCE, Cause.FORKED, rule, tile=CHECKPOINT_PATH)
            return False
        self._findings.note(Topic.SINCE, f"{earlier.size} entries were verified then")
        return True

    def entry_at(self, index: int) -> Entry | None:
        """The entry at an index, as the checkpoint says; None where it is not to be had."""
        if not 0 <= index < self.checkpoint.size:
            return None
        run = next(self.reader.entries(index), None)
        try:
            return read_entry(run.entries[0]) if run is not None and run.first == index else None
        except Malformed:
            return None

    def root_at(self, size: int) -> bytes | None:
        """The root of the first `size` entries; None where it can't be told. For many sizes in rising order."""
        if not 0 < size <= self.checkpoint.size:
            return None
        try:
            return frontier_of(size, self._hash_at).root
        except Damaged:  # reported where it was found
            return None

    def _root(self, size: int) -> bytes | None:
        if size == self.checkpoint.size:
            return self.checkpoint.root
        try:
            return self.reader.frontier(size).root
        except Damaged:  # reported where it was found
            return None


def open_head(data: bytes, keys: Sequence[NoteVerifier]) -> OutsideHead:
    """A head from outside: a checkpoint signed by the log, or its three lines alone as somebody wrote them down.

    Raises:
        TlogError: neither, or the log's signature under it does not hold.
    """
    try:
        return OutsideHead(TreeHead.decode(data.decode()), None)
    except (TlogError, UnicodeDecodeError):
        checkpoint = open_checkpoint(data, keys, keys[0].name)
        return OutsideHead(checkpoint.head, checkpoint.note)
