"""`outrider audit verify`: a log checked from nothing but its own bytes, the log's key, and what the auditor kept outside.

    verified = verify_log(fetch, paths, Asked(keys=log_keys(vkey), now=now, head=..., charter=...))
    verified.verdict      WHOLE, CONSISTENT, UNCHECKED or FAIL
    verified.claims       PASS, FAIL or UNCHECKED for each claim, with entry, file, rule and cause

This package imports `keys` alone, so neither the gateway's code nor a client's ever judges itself; it needs no private key and
no member's help. It streams: a bundle at a time, and what it keeps grows with devices and channels, but for 32 bytes an entry.

    claims       what is said, and its causes       heads      checkpoint, cosignatures, tree, head from outside
    entries      an entry, its place, its time      bodies     published bodies by hash
    charters  registry  certificates                who counts, by the order of the log
    rosters      speech                             who was in a channel, and what they might say there
    chains       signatures                         each device's own chain
    alerts  emergencies  escalations                who was warned by whom, and whoever was to be woken
    receipts                                        what devices say they have got
    disclosures  tombstones                         what was opened, and what was destroyed
    columns      plain                              nearly all entries, a bundle at a time
    reading      one reading of it all              state  matters    what the next reading starts from
    export       archives, whole and in part        watching   who looks on
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clients.auditor.verify.claims import (
    OF_THE_ENTRIES,
    OF_THE_TREE,
    OF_WHOLE_LOGS,
    Cause,
    Claim,
    Findings,
    Outcome,
    Topic,
)
from clients.auditor.verify.export import Export, Part, check_form, check_openings
from clients.auditor.verify.heads import (
    Fetch,
    OutsideHead,
    Tree,
    check_charter_keys,
    check_checkpoint,
    check_predecessor,
    check_witnesses,
    log_keys,
    open_checkpoint_of,
    open_head,
)
from clients.auditor.verify.reading import Reading
from clients.auditor.verify.state import State, read_state, restore, state_of
from clients.auditor.verify.watching import Watch
from keys.charter import Charter
from keys.tlog.checkpoint import Checkpoint
from keys.tlog.note import NoteVerifier
from keys.tlog.policy import TrustPolicy

__all__ = [
    "Asked",
    "Cause",
    "Claim",
    "Export",
    "Outcome",
    "OutsideHead",
    "Topic",
    "Verdict",
    "Verified",
    "log_keys",
    "open_checkpoint_of",
    "open_head",
    "read_state",
    "verify_log",
]


class Verdict(StrEnum):
    WHOLE = "WHOLE"
    CONSISTENT = "CONSISTENT"
    UNCHECKED = "UNCHECKED"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be checked, and against what from outside. `now` in ms."""

    keys: Sequence[NoteVerifier]
    now: int
    head: OutsideHead | None = None
    since: State | None = None
    charter: Charter | None = None
    log_only: bool = False
    every_signature: bool = False
    watch: Watch | None = None
    policy: TrustPolicy | None = None
    export: Export | None = None
    before: Fetch | None = None
    """The log whose place this one takes, where it is at hand."""

    @property
    def trusted(self) -> TrustPolicy | None:
        """Which witnesses are to have cosigned: as asked, else as the charter has it; None where nobody names any."""
        policy = self.policy if self.policy is not None or self.charter is None else self.charter.witness_policy
        return policy if policy is not None and policy.witnesses else None


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome: the verdict, each claim, and the checkpoint it is about, if one could be opened."""

    verdict: Verdict
    claims: tuple[Claim, ...]
    checkpoint: Checkpoint | None
    state: bytes | None = None
    """What the next verification may start from; only where this one found everything sound."""

    @property
    def whole(self) -> bool:
        return self.verdict is Verdict.WHOLE


Progress = Callable[[int, int], None]


def _quiet(_done: int, _size: int) -> None: ...


def verify_log(fetch: Fetch, paths: Iterable[str], asked: Asked, progress: Progress = _quiet) -> Verified:
    """Check a log. `paths` names the files that are stored, where that can be known.

    Raises:
        OSError: the storage fails, which is no verdict on the log.
        keys.errors.Malformed: `asked.since` is no state that was saved here.
    """
    findings = Findings()
    topics = _topics(asked)
    checkpoint, reading = None, None
    if asked.keys:
        checkpoint = check_checkpoint(fetch, asked.keys, findings)
    else:
        findings.unchecked(Topic.CHECKPOINT, "the log's key was not given: --key, or a charter that names it")
    if checkpoint is None:
        for topic in topics:
            if topic is not Topic.CHECKPOINT:
                findings.unchecked(topic, "there is no signed checkpoint to check it against")
    else:
        tree = Tree(fetch, checkpoint, findings)
        reading = _read(tree, fetch, paths, asked, findings, progress)
    claims = findings.claims(topics)
    verdict = _verdict(claims, asked)
    state = None
    part = asked.export is not None and not asked.export.whole
    if reading is not None and verdict in (Verdict.WHOLE, Verdict.CONSISTENT) and not part:
        state = state_of(reading, tree.checkpoint.origin, tree.reader.frontier(tree.checkpoint.size))
    return Verified(verdict, tuple(claims), checkpoint, state)


def _read(
    tree: Tree, fetch: Fetch, paths: Iterable[str], asked: Asked, findings: Findings, progress: Progress
) -> Reading | None:
    """Read what is to be read; gives the reading of the content, where that was asked for and could begin."""
    if asked.head is not None:
        tree.check_head(asked.head)
    if asked.export is not None:
        check_form(asked.export, tree.checkpoint.head, findings)
    if asked.trusted is not None:
        check_witnesses(fetch, asked.keys, tree, asked.trusted, findings)
    reading, expected = None, 0
    if asked.since is None or _grown(tree, asked.since, findings):
        expected = 0 if asked.since is None else asked.since.frontier.size
        reading = None if asked.log_only else _begin(fetch, asked, findings)
    elif not asked.log_only:
        for topic in OF_THE_ENTRIES:
            findings.unchecked(topic, "the log has not grown from the one verified earlier")
    start, size, entry_at = expected, tree.checkpoint.size, tree.entry_at
    if asked.export is not None and not asked.export.whole:
        if reading is not None:
            reading.in_part = True
        part = Part(fetch, tree, asked.export, findings)
        part.read(reading, progress)
        entry_at = part.entry_at
    else:
        for run in tree.reader.entries(start):
            if reading is not None:
                reading.take(run.first, run.entries, expected)
            expected = run.first + len(run.entries)
            progress(expected, size)
    tree.check_rest(paths)
    if reading is not None:
        reading.end(size, tree.root_at, entry_at)
        if reading.charters.current is not None:
            check_charter_keys(tree.checkpoint, reading.charters.current, findings)
    if asked.before is not None:
        first = reading.charters.all[0] if reading is not None and reading.charters.all else None
        check_predecessor(asked.before, None if first is None else first.policy.predecessor, findings)
    if asked.export is not None:
        check_openings(fetch, tree, asked.export, reading.charters.current if reading else asked.charter, findings)
    return reading


def _topics(asked: Asked) -> list[Topic]:
    """The claims that are made, in their order."""
    entries = () if asked.log_only else OF_THE_ENTRIES
    export = asked.export
    made = {*OF_THE_TREE, *entries}
    if export is not None and not export.whole:
        made -= OF_WHOLE_LOGS  # they may turn on channels that are not here
    made |= {
        topic
        for topic, there in (
            (Topic.ARCHIVE, export is not None),
            (Topic.COSIGNATURES, asked.trusted is not None),
            (Topic.HEAD, asked.head is not None),
            (Topic.SINCE, asked.since is not None),
            (Topic.PREDECESSOR, asked.before is not None),
            (Topic.OPENINGS, export is not None and bool(export.openings)),
        )
        if there
    }
    return [topic for topic in Topic if topic in made]


def _begin(fetch: Fetch, asked: Asked, findings: Findings) -> Reading:
    reading = Reading(
        fetch,
        asked.keys,
        findings,
        asked.now,
        pinned=asked.charter,
        every_signature=asked.every_signature,
        watch=asked.watch,
    )
    if asked.since is not None:
        restore(asked.since, reading)
    return reading


def _grown(tree: Tree, since: State, findings: Findings) -> bool:
    if since.origin != tree.checkpoint.origin:
        findings.unchecked(Topic.SINCE, f"what was verified earlier is another log, {since.origin}")
        return False
    return tree.check_since(since.frontier)


def _verdict(claims: Sequence[Claim], asked: Asked) -> Verdict:
    outcomes = {claim.outcome for claim in claims}
    if Outcome.FAIL in outcomes:
        return Verdict.FAIL
    if Outcome.UNCHECKED in outcomes:
        return Verdict.UNCHECKED
    part = asked.export is not None and not asked.export.whole
    return Verdict.CONSISTENT if asked.head is None or part else Verdict.WHOLE
