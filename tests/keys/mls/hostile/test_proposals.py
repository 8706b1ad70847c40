"""Proposals, by themselves and together in a Commit (RFC 9420 sections 11.1 and 12.1 to 12.3)."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from keys.mls import (
    REQUIRED_CAPABILITIES,
    Add,
    BadSignature,
    Credential,
    DecodeError,
    Extension,
    ExternalPsk,
    Group,
    GroupContextExtensions,
    InvalidCommit,
    InvalidCredential,
    InvalidLeafNode,
    InvalidProposal,
    PreSharedKey,
    PreSharedKeyID,
    Proposal,
    PublicGroup,
    Remove,
    RequiredCapabilities,
    Update,
)
from keys.mls.codec import Vector, encode_with
from keys.mls.framing import ProposalContent
from keys.mls.messages import ExternalInit
from keys.mls.nodes import EXTERNAL_SENDERS, ExternalSender
from tests.keys.mls.hostile.forging import forge
from tests.keys.mls.hostile.scene import (
    ABLE,
    ASKED,
    CHARTER,
    HONEST,
    SUITE,
    Proposals,
    commit,
    guest,
    member,
    propose,
    scene,
    updated,
)
from tests.keys.mls.hostile.table import Case, Row, heard, judge, table
from tests.keys.mls.insider import send
from tests.keys.mls.people import NOW


def psk(identity: bytes = b"id", nonce: bytes = bytes(32)) -> PreSharedKey:
    return PreSharedKey(PreSharedKeyID(ExternalPsk(identity), nonce))


def asks(*credentials: int, extensions: tuple[int, ...] = (), proposals: tuple[int, ...] = ()) -> Extension:
    return Extension(REQUIRED_CAPABILITIES, RequiredCapabilities(extensions, proposals, credentials).encode())


def renewed(*extensions: Extension) -> list[GroupContextExtensions]:
    """New extensions for the group."""
    return [GroupContextExtensions(extensions)]


def senders(credential: Credential) -> Extension:
    key = SUITE.signature_public_key(SUITE.generate_signature_key(lambda length: bytes(length)))
    return Extension(EXTERNAL_SENDERS, encode_with(Vector(ExternalSender), (ExternalSender(key, credential),)))


KEPT = renewed(CHARTER, ASKED)
OTHER_KEY = SUITE.derive_key_pair(b"other")[1]
UNABLE = replace(ABLE, extensions=(0xF0A1,))
"""Without the group's own extension."""


@table(
    Row("12.1.3", "who is removed is there", commit([Remove(7)], [Remove(3)]), InvalidProposal, "where nobody is"),
    Row(
        "12.1.3",
        "who is removed is inside the tree",
        commit([Remove(70000)], [Remove(3)]),
        InvalidProposal,
        "a Remove of leaf 70000, where nobody is",
    ),
    Row(
        "12.1.4",
        "a pre-shared key's nonce is not too short",
        commit([psk(nonce=bytes(31))], [psk()]),
        InvalidProposal,
        "nonce of the wrong length",
    ),
    Row(
        "12.1.4",
        "a pre-shared key's nonce is not too long",
        commit([psk(nonce=bytes(33))], [psk()]),
        InvalidProposal,
        "nonce of the wrong length",
    ),
    Row(
        "13.4",
        "no extension of a group stands twice",
        commit(renewed(CHARTER, CHARTER), KEPT),
        InvalidLeafNode,
        "two extensions",
    ),
    Row(
        "13.4",
        "all members list a new extension",
        commit(renewed(Extension(0xF0A9, b"")), KEPT),
        InvalidLeafNode,
        "does not list the group's extension 0xf0a9",
    ),
    Row(
        "11.1",
        "all members list an extension that is newly required",
        commit(renewed(asks(extensions=(0xF0A9,))), KEPT),
        InvalidLeafNode,
        "extension 0xf0a9",
    ),
    Row(
        "11.1",
        "all members list a proposal that is newly required",
        commit(renewed(asks(proposals=(0xF0A9,))), KEPT),
        InvalidLeafNode,
        "proposal 0xf0a9",
    ),
    Row(
        "11.1",
        "all members list a credential type that is newly required",
        commit(renewed(asks(2)), KEPT),
        InvalidLeafNode,
        "credential 0x0002",
    ),
    Row(
        "11.1",
        "required capabilities are what they should be",
        commit(renewed(Extension(REQUIRED_CAPABILITIES, b"\0\0")), KEPT),
        DecodeError,
        "nothing left",
    ),
    Row(
        "11.1",
        "who is added fits the new extensions",
        commit(
            lambda: [*renewed(asks(extensions=(0xF0A0,))), Add(guest(leaf={"capabilities": UNABLE}))],
            lambda: [*renewed(asks(extensions=(0xF0A0,))), Add(HONEST)],
        ),
        InvalidLeafNode,
        "lacks a required capability: extension 0xf0a0",
    ),
    Row(
        "5.3.1",
        "external senders are vouched for",
        commit(renewed(CHARTER, senders(Credential.basic(b"banned"))), renewed(senders(Credential.basic(b"service")))),
        InvalidCredential,
        "banned",
    ),
    Row(
        "12.1.8.1",
        "external senders are what they should be",
        commit(renewed(Extension(EXTERNAL_SENDERS, b"\1")), renewed(senders(Credential.basic(b"service")))),
        DecodeError,
        "",
    ),
    Row(
        "12.2",
        "an external init stands in no member's Commit",
        commit([ExternalInit(b"")], []),
        InvalidProposal,
        "ExternalInit",
    ),
)
def test_a_proposal_by_itself(row: Row) -> None:
    judge(row)


def together(hostile: Proposals, honest: Proposals, **how: Any) -> Callable[[], Case]:
    """Member 0 commits what two Updates of member 2 were proposed, and what it says itself; `0` and `1` name them."""

    def case() -> Case:
        here = proposals_heard()
        references = list(here[2].proposals)

        def named(listed: Proposals) -> list[Proposal | bytes]:
            assert not callable(listed)
            return [references[one] if isinstance(one, int) else one for one in listed]

        bad, good = forge(here[0], named(hostile), **how), forge(here[0], named(honest))
        return heard(here[1], here[2], bad, good)

    return case


@cache
def proposals_heard() -> tuple[Group, Group, PublicGroup]:
    """Members 0 and 1, and who follows the group, once they have heard two Updates of member 2."""
    first, second, public = member(0), member(1), scene().public
    for number in range(2):
        key = SUITE.derive_key_pair(b"%d" % number)[1]
        message = send(member(2), ProposalContent(Update(updated(2, {"encryption_key": key}))))
        first, second = (group.process(message, now_seconds=NOW)[0] for group in (first, second))
        public = public.proposal(message, NOW)
    return first, second, public


def by_the_proposer() -> Case:
    """Member 2 commits its own Update."""
    first, second, public = proposals_heard()
    author = replace(member(2), public=public)
    return heard(second, public, forge(author, list(public.proposals)[:1]), forge(first, list(public.proposals)[:1]))


ONE_LEAF = "two proposals change one leaf"


@table(
    Row("12.2", "nobody commits its own Update", by_the_proposer, InvalidProposal, "an Update by the committer"),
    Row(
        "12.2",
        "nobody commits an Update by value",
        commit(lambda: [Update(updated(0, {}))], [], makes=False),
        InvalidProposal,
        "an Update by the committer",
    ),
    Row(
        "12.2", "nobody removes itself", commit([Remove(0)], [Remove(3)]), InvalidProposal, "a Remove of the committer"
    ),
    Row(
        "12.2",
        "nobody is removed twice",
        commit([Remove(2), Remove(2)], [Remove(2), Remove(3)]),
        InvalidProposal,
        ONE_LEAF,
    ),
    Row("12.2", "nobody is updated twice", together([0, 1], [0]), InvalidProposal, ONE_LEAF),
    Row("12.2", "nobody is updated and removed", together([0, Remove(2)], [0, Remove(3)]), InvalidProposal, ONE_LEAF),
    Row("12.4", "an Update has a path", together([0], [0], path=False), InvalidCommit, "without the path it needs"),
    Row("12.4", "no proposal is named twice", together([0, 0], [0]), InvalidCommit, "one proposal twice"),
    Row(
        "12.4",
        "a proposal that is named was seen",
        together([b"unseen"], [0]),
        InvalidCommit,
        "that was not seen in this epoch",
    ),
    Row(
        "12.2",
        "no client is added twice",
        commit(lambda: [Add(HONEST), Add(guest(init_key=OTHER_KEY))], [Add(HONEST)]),
        InvalidProposal,
        "two Adds of one client",
    ),
    Row(
        "12.2",
        "no pre-shared key stands twice",
        commit([psk(), psk()], [psk(), psk(b"other")]),
        InvalidProposal,
        "one pre-shared key twice",
    ),
    Row(
        "12.2",
        "a group has one list of extensions",
        commit(KEPT * 2, KEPT),
        InvalidProposal,
        "two GroupContextExtensions",
    ),
)
def test_proposals_together(row: Row) -> None:
    judge(row)


def test_a_client_is_added_in_the_commit_that_removes_it() -> None:
    """Section 12.2: an Add of a client that is in the group already stands if a Remove takes it out."""
    again = guest(scene().people[3])
    message = forge(member(0), [Remove(3), Add(again)])
    group, received = member(1).process(message, now_seconds=NOW)
    assert [one.leaf_index for one in received.added] == [3]
    assert [one.leaf_index for one in received.removed] == [3]
    assert group.epoch == 2


def sent(hostile: Proposal, honest: Proposal) -> Callable[[], Case]:
    return lambda: propose(hostile, honest)


@table(
    Row(
        "12.1.1", "an Add", sent(Add(replace(HONEST, signature=bytes(64))), Add(HONEST)), BadSignature, "KeyPackageTBS"
    ),
    Row("12.1.3", "a Remove", sent(Remove(9), Remove(3)), InvalidProposal, "where nobody is"),
    Row("12.1.4", "a PreSharedKey", sent(psk(nonce=b""), psk()), InvalidProposal, "nonce of the wrong length"),
    Row("12.2", "an ExternalInit", sent(ExternalInit(b""), Remove(3)), InvalidProposal, "ExternalInit"),
    Row(
        "13.4",
        "a GroupContextExtensions",
        sent(renewed(CHARTER, CHARTER)[0], KEPT[0]),
        InvalidLeafNode,
        "two extensions of one type",
    ),
)
def test_a_proposal_is_judged_when_it_comes(row: Row) -> None:
    judge(row)
