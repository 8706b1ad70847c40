"""The charters of the log: the first one founds the mission, each other follows the one before it.

In a log that takes the place of another, the first charter names that predecessor; whether it follows the charter of the old log
is for who has that one (`pinned`).

A charter counts from its entry on. One that the auditor has pinned (`--charter`) must be among them; without a pin the log's own
first charter is taken at its word, bound to the log by naming the key that signs it.
"""

from collections.abc import Sequence

from clients.auditor.verify.bodies import Bodies
from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from keys.charter import Charter, found, refounded, reopen, succeed
from keys.errors import CharterRefused
from keys.tlog.note import NoteVerifier


class Charters:
    """The succession so far. `lost` from the entry on where a charter could not be read: what it allows is not known."""

    def __init__(self, bodies: Bodies, findings: Findings, log_keys: Sequence[NoteVerifier]) -> None:
        self.all: list[Charter] = []
        self.lost: int | None = None
        self._bodies = bodies
        self._findings = findings
        self._log_keys = log_keys

    @property
    def current(self) -> Charter | None:
        """The charter in force; None before the first, and where it is not known."""
        return self.all[-1] if self.all and self.lost is None else None

    def take(self, placed: Placed) -> Charter | None:
        """The charter that this entry puts in force, if it may."""
        note = self._bodies.get(placed)
        if note is None:
            self.lost = placed.index if self.lost is None else self.lost
            return None
        if self.lost is not None:
            return None
        try:
            charter = succeed(self.all[-1], note) if self.all else _begin(note)
        except CharterRefused as error:
            self._findings.fail(Topic.CHARTER, Cause.INJECTED, str(error), placed.index)
            return None
        if not self._names_log(charter):
            rule = "this charter names another log, or another key for it"
            self._findings.fail(Topic.CHARTER, Cause.FORKED, rule, placed.index)
        self.all.append(charter)
        return charter

    def _names_log(self, charter: Charter) -> bool:
        """Each key that was given and is of a kind that the charter names has to be the one it names."""
        named = [(key.name, key.key_id) for key in charter.log_verifiers]
        known = [(key.name, key.key_id) for key in self._log_keys]
        return named[0] in known and (len(named) == 1 or len(known) == 1 or set(known) <= set(named))

    def restore(self, notes: Sequence[bytes]) -> None:
        """The succession as an earlier verification has checked it."""
        self.all = [reopen(note) for note in notes]

    def end(self, pinned: Charter | None) -> None:
        """Hold the succession against the charter that the auditor pinned."""
        if self.lost is not None:
            self._findings.unchecked(Topic.CHARTER, "a charter's text is not here, so none after it counts", self.lost)
        elif not self.all:
            self._findings.fail(Topic.CHARTER, Cause.MISSING, "a log begins with the mission's first charter", 0)
        elif pinned is None:
            rule = f"version {self.all[-1].policy.version} is in force; no charter was given to compare with"
            self._findings.note(Topic.CHARTER, f"{rule}{_ended(self.all[0])}")
        elif self._follows(pinned):
            rule = f"version {self.all[-1].policy.version} is in force and follows version {pinned.policy.version}, which was given"
            self._findings.note(Topic.CHARTER, f"{rule}{_ended(self.all[0])}")
        elif any(charter.hash == pinned.hash for charter in self.all):
            rule = (
                f"version {self.all[-1].policy.version} is in force, version {pinned.policy.version} is the one given"
            )
            self._findings.note(Topic.CHARTER, rule)
        elif pinned.policy.version > self.all[-1].policy.version:
            rule = f"the charter given is version {pinned.policy.version}, and the log ends with {self.all[-1].policy.version}"
            self._findings.fail(Topic.CHARTER, Cause.MISSING, rule)
        else:
            rule = f"version {pinned.policy.version} of the log is not the charter that was given"
            self._findings.fail(Topic.CHARTER, Cause.FORKED, rule)

    def _follows(self, pinned: Charter) -> bool:
        """Whether the log begins with the successor of the charter that was given: that of the log before it."""
        if pinned.policy.version + 1 != self.all[0].policy.version:
            return False
        try:
            succeed(pinned, self.all[0].note)
        except CharterRefused:
            return False
        return True


def _begin(note: bytes) -> Charter:
    """The charter that a log begins with: the mission's first, or one that names the log before. Raises CharterRefused."""
    try:
        return found(note)
    except CharterRefused:
        if reopen(note).policy.predecessor is None:
            raise
        return refounded(note)


def _ended(charter: Charter) -> str:
    before = charter.policy.predecessor
    if before is None:
        return ""
    lost = f", and entries {before.kept} to {before.size - 1} of it are lost" if before.missing else ""
    return f"; in the place of {before.origin}, which ended with {before.size} entries{lost}"
