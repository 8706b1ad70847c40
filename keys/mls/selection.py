"""Which of the pending proposals a member takes up in its Commit (RFC 9420 sections 12.2 and 12.4).

Each of them was found valid when it came; together they may not be. What contradicts the rest is left out, so that
nobody's proposal can keep a group from committing.
"""

from collections.abc import Iterable, Sequence

from keys.mls.applying import apply, check_result
from keys.mls.errors import MLSError
from keys.mls.framing import MemberSender, NewMemberProposal
from keys.mls.messages import Add, GroupContextExtensions, Proposal, ReInit, Remove, SelfRemove, Update
from keys.mls.rules import Checker, SentProposal


def select(
    checker: Checker, pending: Iterable[SentProposal], by_value: Sequence[SentProposal], committer: int
) -> list[SentProposal]:
    """Those of the pending proposals that this member can commit together with its own ones by value.

    A client that asks for its own Add is let in only by who names that proposal: it is nobody the group knows.
    """
    known = [sent for sent in pending if not isinstance(sent.sender, NewMemberProposal)]
    if not known:
        return []
    preferred = [sent for sent in prefer([*known, *by_value], committer) if sent.reference is not None]
    if _stand(checker, [*preferred, *by_value], committer):
        return preferred
    chosen: list[SentProposal] = []
    for sent in preferred:
        if _stand(checker, [*chosen, sent, *by_value], committer):
            chosen.append(sent)
    return chosen


def _stand(checker: Checker, proposals: Sequence[SentProposal], committer: int) -> bool:
    """Whether a Commit of these would be valid, its path aside."""
    try:
        applied = apply(checker, proposals, MemberSender(committer))
        check_result(applied.tree, applied)
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
