"""Which of the pending proposals a member takes up in its Commit (RFC 9420 sections 12.2 and 12.4).

Each of them was found valid when it came; together they may not be. What contradicts the rest is left out, so that
nobody's proposal can keep a group from committing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keys.mls.applying import apply_together, check_result
from keys.mls.errors import MLSError
from keys.mls.framing import MemberSender, NewMemberProposal
from keys.mls.messages import Add, GroupContextExtensions, Proposal, ReInit, Remove, SelfRemove, Update
from keys.mls.presharedkeys import Psks, ResumptionPsks, look_up
from keys.mls.rules import Checker, SentProposal


@dataclass(frozen=True, slots=True)
class Chooser:
    """A member about to commit: what it can, and what it commits by value in any case."""

    checker: Checker
    committer: int
    psks: Psks
    resumption_psks: ResumptionPsks
    by_value: Sequence[SentProposal]

    def select(self, pending: Iterable[SentProposal]) -> list[SentProposal]:
        """Those of the pending proposals that can be committed together with the ones by value.

        A client that asks for its own Add is let in only by who names that proposal: it is nobody the group knows.
        """
        known = [sent for sent in pending if not isinstance(sent.sender, NewMemberProposal)]
        if not known:
            return []
        together = prefer([*known, *self.by_value], self.committer)
        return self._grow([], [sent for sent in together if sent.reference is not None and self._holds(sent)])

    def _grow(self, chosen: list[SentProposal], more: list[SentProposal]) -> list[SentProposal]:
        """Those chosen, and of some more all that stand with them; the earlier go before the later."""
        if not more or self._stand([*chosen, *more]):
            return [*chosen, *more]
        if len(more) == 1:
            return chosen
        half = len(more) // 2
        return self._grow(self._grow(chosen, more[:half]), more[half:])

    def _holds(self, sent: SentProposal) -> bool:
        """Whether it is still valid by itself: a KeyPackage may have run out since it came."""
        try:
            self.checker.check(sent)
        except MLSError:
            return False
        return True

    def _stand(self, chosen: Sequence[SentProposal]) -> bool:
        """Whether a Commit of these would be valid, its path aside, and its pre-shared keys are at hand."""
        try:
            applied = apply_together(self.checker, [*chosen, *self.by_value], MemberSender(self.committer))
            check_result(applied.tree, applied)
            look_up(applied.psks, self.psks, self.resumption_psks)
        except MLSError:
            return False
        return True


def prefer(pending: Iterable[SentProposal], committer: int) -> list[SentProposal]:
    """Of proposals that contradict each other the ones that section 12.2 prefers; removals first, re-init last.

    Left out: the committer's own Updates and its own removal, and of several changes to one leaf all but its
    SelfRemove (the first: there should be no other), or else a Remove, or else the newest Update; of several
    GroupContextExtensions, Adds of one client or ReInits, all but the newest.
    """
    change: dict[int, SentProposal] = {}
    extensions: list[SentProposal] = []
    others: dict[bytes, SentProposal] = {}
    reinit: list[SentProposal] = []
    for sent in pending:
        leaf = sent.changes
        if leaf is not None:
            rival = change.get(leaf)
            if leaf != committer and (rival is None or _outranks(sent.proposal, rival.proposal)):
                change[leaf] = sent
        elif isinstance(sent.proposal, GroupContextExtensions):
            extensions = [sent]
        elif isinstance(sent.proposal, ReInit):
            reinit = [sent]
        elif isinstance(sent.proposal, Add):
            others[sent.proposal.key_package.leaf_node.signature_key] = sent
        else:
            others[sent.proposal.encode()] = sent
    return [*change.values(), *extensions, *others.values(), *reinit]


def _outranks(newer: Proposal, older: Proposal) -> bool:
    """Whether of two changes of one leaf the newer is preferred."""
    order = (Update, Remove, SelfRemove)
    rank, before = order.index(type(newer)), order.index(type(older))
    return rank >= before and not isinstance(older, SelfRemove)
