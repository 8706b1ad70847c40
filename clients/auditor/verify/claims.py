"""What an audit says: one claim after another, each passed, failed or not checked, and the place to look at.

A claim is failed where something in the log contradicts it, with the entry or tile to blame; not checked where what is needed
to decide was not at hand; passed otherwise. What was not asked for is not listed. FAIL beats UNCHECKED beats PASS.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from keys.tlog.tile import WIDTH, Bundle

LISTED: Final = 100  # findings of one claim that are listed; the rest is counted


class Outcome(StrEnum):
    PASS = "PASS"  # noqa: S105  (an outcome, not a password)
    FAIL = "FAIL"
    UNCHECKED = "UNCHECKED"


class Cause(StrEnum):
    """Why a claim fails: a closed list."""

    ALTERED = "altered"
    MISSING = "missing"
    REORDERED = "reordered"
    CUT = "cut"
    FORKED = "forked"
    BAD_SIGNATURE = "bad-signature"
    FUTURE_TIME = "future-time"
    INJECTED = "injected"
    RECEIPT_WITHOUT_ENTRY = "receipt-without-entry"
    SELF_APPROVAL = "self-approval"
    ESCALATION_SKIPPED = "escalation-skipped"


class Topic(StrEnum):
    """The claims, in the order in which they are listed."""

    ARCHIVE = "archive"
    CHECKPOINT = "checkpoint"
    COSIGNATURES = "cosignatures"
    TREE = "tree"
    HEAD = "head"
    SINCE = "since"
    PREDECESSOR = "predecessor"
    ENTRIES = "entries"
    ORDER = "order"
    TIMES = "times"
    CHARTER = "charter"
    GATEWAY = "gateway"
    BODIES = "bodies"
    CERTIFICATES = "certificates"
    REVOCATIONS = "revocations"
    CHAINS = "chains"
    SIGNATURES = "signatures"
    HEARD = "heard"
    RECEIPTS = "receipts"
    ROSTERS = "rosters"
    EPOCHS = "epochs"
    MEMBERS = "members"
    ROLES = "roles"
    REMOVALS = "removals"
    ALERTS = "alerts"
    ESCALATION = "escalation"
    DISCLOSURES = "disclosures"
    TOMBSTONES = "tombstones"
    OPENINGS = "openings"


OF_THE_TREE: Final = (Topic.CHECKPOINT, Topic.TREE)
WHERE_THERE_IS_ONE: Final = (
    Topic.ARCHIVE,
    Topic.COSIGNATURES,
    Topic.HEAD,
    Topic.SINCE,
    Topic.PREDECESSOR,
    Topic.OPENINGS,
)
"""Claims that are made only where there is what they are about."""
OF_WHOLE_LOGS: Final = frozenset({Topic.ESCALATION, Topic.DISCLOSURES, Topic.TOMBSTONES})
"""Claims that no part of a log can bear out."""
OF_THE_ENTRIES: Final = tuple(t for t in Topic if t not in (*OF_THE_TREE, *WHERE_THERE_IS_ONE))

MEANING: Final = {
    Topic.ARCHIVE: "the archive is whole, and what it says it is",
    Topic.CHECKPOINT: "the checkpoint is signed by the log's key",
    Topic.COSIGNATURES: "as many witnesses as the policy asks for have cosigned this log",
    Topic.TREE: "every tile and every entry leads to the checkpoint's root",
    Topic.HEAD: "the head kept outside is this log's: nothing it covers was cut off or rewritten",
    Topic.SINCE: "the log has grown from the one verified earlier",
    Topic.PREDECESSOR: "the log before it is the one whose place it says that it takes",
    Topic.ENTRIES: "every entry is one envelope in its one encoding",
    Topic.ORDER: "in every channel each place is taken once and none is left out",
    Topic.TIMES: "the gateway's clock never ran back, and nothing is from the future",
    Topic.CHARTER: "each charter follows the one before, with a quorum of both",
    Topic.GATEWAY: "what the gateway says of itself is signed with the key that the charter names",
    Topic.BODIES: "every published body is there, and is the one that was signed",
    Topic.CERTIFICATES: "each certificate was approved by a second person who could",
    Topic.REVOCATIONS: "each revocation list follows the one before, and was fresh where it had to be",
    Topic.CHAINS: "each device's envelopes are numbered without a gap and hold the hash of the one before",
    Topic.SIGNATURES: "each device's newest signature holds, and vouches by the chain for all before it",
    Topic.HEARD: "what devices say they had seen is what the log says stood there",
    Topic.RECEIPTS: "what receipts say was got is in the log, by devices that were in the channel",
    Topic.ROSTERS: "each channel's members follow from its signed commits, and every commit was allowed",
    Topic.EPOCHS: "members who confirmed an epoch confirmed the same one, so nobody was led into another group",
    Topic.MEMBERS: "each author was in the channel, at that epoch, with that key and a live certificate",
    Topic.ROLES: "each author had a role that the charter lets do this, within class and marking",
    Topic.REMOVALS: "nothing was said in an epoch that still held a revoked or expired device",
    Topic.ALERTS: "each alert was signed by those whom the charter asks for, for that channel and content, and came there once",
    Topic.DISCLOSURES: "each message was disclosed to an auditor only as enough others had agreed",
    Topic.ESCALATION: "whoever was to be woken while an alert was not answered was woken, in the order of its ladder",
    Topic.TOMBSTONES: "each body that was destroyed went by its class's rule, at its own end, or by order of two people",
    Topic.OPENINGS: "each message that is opened is the one that its author sent, at that place of the log",
}
"""Each claim in a sentence."""


class Claim(Struct, frozen=True):
    """One line of the report: what is claimed, what came of it, where to look, the rule, and the cause of a failure."""

    claim: Topic
    outcome: Outcome
    index: int | None
    tile: str | None
    rule: str
    cause: Cause | None


class Findings:
    """Collects what speaks against claims. `size` is the checkpoint's, so that entries have their bundle's path."""

    def __init__(self) -> None:
        self.size = 0
        self._listed: dict[Topic, list[Claim]] = {}
        self._counts: dict[tuple[Topic, Outcome], int] = {}
        self._notes: dict[Topic, str] = {}

    def fail(self, claim: Topic, cause: Cause, rule: str, index: int | None = None, tile: str | None = None) -> None:
        """Something contradicts the claim."""
        if tile is None and index is not None:
            tile = bundle_path(index, self.size)
        self._add(Claim(claim, Outcome.FAIL, index, tile, rule, cause))

    def unchecked(self, claim: Topic, rule: str, index: int | None = None) -> None:
        """The claim can't be decided here."""
        self._add(Claim(claim, Outcome.UNCHECKED, index, bundle_path(index, self.size), rule, None))

    def note(self, claim: Topic, text: str) -> None:
        """What to say of the claim if it passes, after its sentence."""
        self._notes[claim] = text

    def claims(self, asked: Iterable[Topic]) -> list[Claim]:
        """The report: each claim asked for, in order, with all that speaks against it."""
        found = []
        for claim in asked:
            against = self._listed.get(claim, [])
            found += against or [self._passed(claim)]
            for outcome in (Outcome.FAIL, Outcome.UNCHECKED):
                more = self._counts.get((claim, outcome), 0) - sum(c.outcome is outcome for c in against)
                if more:
                    cause = next((c.cause for c in against if c.outcome is outcome), None)
                    found.append(Claim(claim, outcome, None, None, f"and {more} more that are not listed", cause))
        return found

    def _passed(self, claim: Topic) -> Claim:
        note = self._notes.get(claim)
        return Claim(claim, Outcome.PASS, None, None, f"{MEANING[claim]} ({note})" if note else MEANING[claim], None)

    def _add(self, found: Claim) -> None:
        key = (found.claim, found.outcome)
        self._counts[key] = count = self._counts.get(key, 0) + 1
        if count <= LISTED:
            self._listed.setdefault(found.claim, []).append(found)


def bundle_path(index: int | None, size: int) -> str | None:
    """The file in which an entry of a log of that size lies."""
    if index is None or index >= size:
        return None
    number = index // WIDTH
    return Bundle(number, min(WIDTH, size - number * WIDTH)).path
