"""Disclosures, judged from their signatures: an auditor asked, enough others agreed before it, nobody in a matter of his own.

A request names its message by log index, so that whose message it is can be looked up once all is read: the author's vote counts
nowhere, and a disclosure that rests on it is one that too few have agreed to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.registry import Registry
from keys.credential import Certified
from keys.disclosure import Ballot, Disclosure, Request, Vote, read_disclosure, read_request, read_vote
from keys.envelope import ENCRYPTED, Entry, Kind, read
from keys.errors import KeysError, NotPermitted, NotTrusted
from keys.identity import PersonId
from keys.policy import Verb

EntryAt = Callable[[int], Entry | None]
"""A checked entry of the log by index; None where it is not at hand."""

NOBODY = PersonId(bytes(16))


@dataclass(slots=True)
class Case:
    """A request, with the votes so far, and for each package that was given who had agreed by then."""

    request: Request
    requester: PersonId
    index: int
    agreed: dict[PersonId, int] = field(default_factory=dict)  # and the index of the vote
    against: dict[PersonId, int] = field(default_factory=dict)
    given: list[tuple[int, frozenset[PersonId], int]] = field(default_factory=list)  # index, who, quorum


class Disclosures:
    """Checks what the control channel says of disclosures."""

    def __init__(self, registry: Registry, findings: Findings) -> None:
        self._registry = registry
        self._findings = findings
        self.cases: dict[bytes, Case] = {}

    def take(self, placed: Placed, body: bytes | None, start: int) -> None:
        """An entry about a disclosure. `start` is where this reading began: what lies before is not known."""
        if body is None or self._registry.charter is None:
            rule = "its body is not here" if body is None else "the charter is not known"
            self._findings.unchecked(Topic.DISCLOSURES, rule, placed.index)
            return
        try:
            self._judge(placed, body, start)
        except KeysError as error:
            cause = Cause.SELF_APPROVAL if isinstance(error, NotPermitted) else Cause.INJECTED
            self._findings.fail(Topic.DISCLOSURES, cause, str(error), placed.index)

    def _judge(self, placed: Placed, body: bytes, start: int) -> None:
        match placed.context.kind:
            case Kind.DISCLOSURE_REQUEST:
                self._asked(placed, read_request(body))
            case Kind.DISCLOSURE_VOTE:
                self._voted(placed, read_vote(body), start)
            case _:
                self._answered(placed, read_disclosure(body), start)

    def _author(self, placed: Placed, certificate: bytes) -> Certified:
        return self._registry.named(certificate, placed.context.device, placed.entry.time)

    def _asked(self, placed: Placed, said: Request) -> None:
        charter = self._registry.charter
        assert charter is not None  # take
        author = self._author(placed, said.certificate)
        charter.check_verb(author, Verb.AUDIT)
        self.cases[sha256(placed.entry.header).digest()] = Case(said, author.person, placed.index)

    def _voted(self, placed: Placed, said: Vote, start: int) -> None:
        charter, case = self._registry.charter, self._case(placed, said.request, start)
        assert charter is not None  # take
        author = self._author(placed, said.certificate)
        if case is None:
            return
        ballot = Ballot(case.requester, NOBODY, frozenset(case.agreed), frozenset(case.against))
        ballot.check_vote(charter, author)
        (case.agreed if said.agrees else case.against)[author.person] = placed.index

    def _answered(self, placed: Placed, said: Disclosure, start: int) -> None:
        charter, case = self._registry.charter, self._case(placed, said.request, start)
        assert charter is not None  # take
        self._author(placed, said.certificate)
        if case is not None and said.package is not None:
            case.given.append((placed.index, frozenset(case.agreed), charter.policy.disclosure_quorum))

    def _case(self, placed: Placed, request: bytes, start: int) -> Case | None:
        case = self.cases.get(request)
        if case is None and start:
            rule = "its request lies before what was read here"
            self._findings.unchecked(Topic.DISCLOSURES, rule, placed.index)
        elif case is None:
            raise NotTrusted("about a request that is not in the log")
        return case

    # ------------------------------------------------------------------ once all is read

    def end(self, entry_at: EntryAt) -> None:
        """Whose messages they were, and whether enough others had agreed."""
        for case in self.cases.values():
            author = self._author_of(case, entry_at)
            if author is None:
                continue
            for votes in (case.agreed, case.against):
                if author in votes:
                    rule = "a vote by who wrote the message"
                    self._findings.fail(Topic.DISCLOSURES, Cause.SELF_APPROVAL, rule, votes[author])
            for index, agreed, quorum in case.given:
                others = len(agreed - {author})
                if others < quorum:
                    rule = f"disclosed when {others} of {quorum} had agreed"
                    self._findings.fail(Topic.DISCLOSURES, Cause.SELF_APPROVAL, rule, index)
        if self.cases:
            given = sum(len(case.given) for case in self.cases.values())
            self._findings.note(Topic.DISCLOSURES, f"{len(self.cases)} asked for, {given} given")

    def _author_of(self, case: Case, entry_at: EntryAt) -> PersonId | None:
        """Who wrote what was asked for; None, and said so, where that can't be known."""
        entry = entry_at(case.request.index)
        if entry is None:
            self._findings.unchecked(Topic.DISCLOSURES, "the message asked for is not at hand", case.index)
            return None
        said = case.request
        named = (entry.channel, entry.seq, sha256(entry.header).digest())
        if named != (said.channel, said.seq, said.header_hash) or read(entry.envelope).context.kind not in ENCRYPTED:
            self._findings.fail(Topic.DISCLOSURES, Cause.INJECTED, "a request that names no message", case.index)
            return None
        person = self._registry.person_of(read(entry.envelope).context.device)
        if person is None:
            self._findings.unchecked(Topic.DISCLOSURES, "who wrote the message is not known", case.index)
        return person
