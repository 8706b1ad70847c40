"""Who is outside (RFC 9420 sections 6.1, 8.3, 12.1.8, 12.2 and 12.4.3.2): external commits, and proposals from outside.

The group has two external senders, the second of whom is the watchdog; a guest is not in it. SelfRemove is
draft-ietf-mls-extensions'.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from keys.mls import (
    Add,
    BadKey,
    BadSignature,
    BadTag,
    Credential,
    DecodeError,
    DecryptionFailed,
    Extension,
    ExternalSender,
    ExternalSenderIndex,
    Group,
    GroupContextExtensions,
    InvalidCommit,
    InvalidCredential,
    InvalidGroupInfo,
    InvalidLeafNode,
    InvalidMessage,
    InvalidProposal,
    MissingPreSharedKey,
    NewMemberCommit,
    NewMemberProposal,
    PreSharedKey,
    Proposal,
    PublicGroup,
    ReInit,
    Remove,
    SelfRemove,
    Sender,
    Update,
    WrongEpoch,
    WrongGroup,
    external_senders_extension,
)
from keys.mls.external import from_outside
from keys.mls.externalinit import ExternalPub, make_external_init
from keys.mls.framing import PUBLIC_MESSAGE, AuthenticatedContent, Content, FramedContent, ProposalContent
from keys.mls.messages import Commit, ExternalInit
from keys.mls.nodes import EXTERNAL_PUB, FromUpdate
from tests.keys.mls.hostile.forging import INIT, forge, forge_external
from tests.keys.mls.hostile.scene import ABLE, ASKED, CHARTER, GUEST, HONEST, LOW, SUITE, TWIN, guest
from tests.keys.mls.hostile.table import Case, Row, heard, judge, table
from tests.keys.mls.insider import info_with, lifetime, send
from tests.keys.mls.outsiders import external_pub
from tests.keys.mls.people import NOW, Person, World, seeded

LEAVING = replace(ABLE, proposals=(0xF0A2, SelfRemove.TYPE))
WATCHDOG = Person.named(SUITE, b"watchdog")
PERSONNEL = Person.named(SUITE, b"personnel")
WATCHDOG_KEY = SUITE.signature_public_key(WATCHDOG.signature_private_key)
SENDERS = external_senders_extension(
    [
        ExternalSender(SUITE.signature_public_key(one.signature_private_key), one.credential)
        for one in (PERSONNEL, WATCHDOG)
    ]
)
PSK = PreSharedKey.external(SUITE, b"id", seeded("psk"))
PSKS = {b"id": b"words"}
HONEST_WISH = guest(leaf={"capabilities": LEAVING})


@cache
def gate() -> World:
    """Members 0 to 3, and the external senders."""
    made = World(SUITE, 4, path=False, extensions=(CHARTER, ASKED, SENDERS), capabilities=LEAVING)
    made.auth.banned.update({b"banned", b"member 2/banned"})
    return made


def inside(number: int) -> Group:
    return gate()[b"member %d" % number]


@cache
def with_proposals() -> tuple[Group, PublicGroup, Sequence[bytes]]:
    """Member 1, and who follows the group, once member 3 wants to leave and is to be removed; the references."""
    reader, public = inside(1), gate().public
    for content in (SelfRemove(), Remove(3)):
        message = send(inside(3 if content == SelfRemove() else 0), ProposalContent(content))
        reader, public = reader.process(message, now_seconds=NOW)[0], public.proposal(message, NOW)
    return reader, public, list(public.proposals)


# External commits

Listed = Sequence[Proposal | int] | None


def enters(
    proposals: Listed = None,
    person: Person = GUEST,
    *,
    honest: Listed = None,
    honest_person: Person = GUEST,
    members_only: bool = False,
    **how: Any,
) -> Callable[[], Case]:
    """Somebody comes in by a Commit that is not as it should be; a number names a proposal that waits."""

    def case() -> Case:
        reader, public, references = with_proposals()
        key = external_pub(gate())

        def made(listed: Listed, who: Person, **how: Any) -> bytes:
            named = None if listed is None else [references[one] if isinstance(one, int) else one for one in listed]
            return forge_external(public, key, who, named, psks=PSKS, **{"capabilities": LEAVING, **how})

        hostile, fair = made(proposals, person, **how), made(honest, honest_person)
        return heard(reader, None if members_only else public, hostile, fair, psks=PSKS)

    return case


def changed(**leaf: Any) -> Callable[[], Case]:
    return enters(leaf=leaf)


def back(name: bytes = b"member 2", *, own_key: bool = True, **how: Any) -> Callable[[], Case]:
    """Somebody comes back as member 2; the honest one is member 2, as it was."""

    def case() -> Case:
        two = gate().people[2]
        private = two.signature_private_key if own_key else TWIN.signature_private_key
        person, resync = Person(SUITE, Credential.basic(name), private), [INIT, Remove(2)]
        return enters(resync, person, honest=resync, honest_person=two, **how)()

    return case


def as_it_was() -> bytes:
    leaf = gate().public.tree.leaf(2)
    assert leaf is not None
    return leaf.encryption_key


def by_value(proposal: Proposal) -> Callable[[], Case]:
    return enters([INIT, proposal])


ONE = "an external commit without exactly one ExternalInit"
SOURCE = "comes from the wrong source"


@table(
    Row("12.2", "there is an ExternalInit", enters([]), InvalidProposal, ONE),
    Row("12.2", "there is only one ExternalInit", enters([INIT, INIT]), InvalidProposal, ONE),
    Row(
        "12.2",
        "at most one Remove",
        enters([INIT, Remove(1), Remove(2)]),
        InvalidProposal,
        "two Removes in an external",
    ),
    Row("12.2", "no Add", by_value(Add(HONEST)), InvalidProposal, "Add by value in an external commit"),
    Row(
        "12.2",
        "no Update",
        by_value(Update(HONEST.leaf_node)),
        InvalidProposal,
        "Update by value in an external commit",
    ),
    Row("12.2", "no ReInit", by_value(ReInit(b"", 1, 1, ())), InvalidProposal, "ReInit by value in an external commit"),
    Row(
        "12.2",
        "no new extensions",
        by_value(GroupContextExtensions((CHARTER, ASKED, SENDERS))),
        InvalidProposal,
        "GroupContextExtensions by value",
    ),
    Row(
        "12.2",
        "no SelfRemove by value",
        by_value(SelfRemove()),
        InvalidProposal,
        "SelfRemove by value in an external commit",
    ),
    Row("12.1.3", "who is removed is there", by_value(Remove(7)), InvalidProposal, "where nobody is"),
    Row(
        "12.2",
        "no pre-shared key stands twice",
        enters([INIT, PSK, PSK], honest=[INIT, PSK]),
        InvalidProposal,
        "one pre-shared key twice",
    ),
    Row(
        "12.1.4",
        "a pre-shared key's nonce is of the right length",
        enters([INIT, PreSharedKey(replace(PSK.psk, psk_nonce=b""))]),
        InvalidProposal,
        "nonce of the wrong length",
    ),
    Row(
        "12.4.3.2",
        "no proposal of a member by reference",
        enters([INIT, 1], honest=[INIT, 0]),
        InvalidProposal,
        "a proposal by reference in an external commit",
    ),
    Row(
        "12.2",
        "a joiner does not remove who leaves",
        enters([INIT, 0, Remove(3)], honest=[INIT, 0]),
        InvalidProposal,
        "two proposals change one leaf",
    ),
    Row(
        "12.4",
        "a proposal by reference was seen",
        enters([INIT, b"unseen"]),
        InvalidCommit,
        "that was not seen in this epoch",
    ),  # type: ignore[list-item]
    Row("12.4.3.2", "there is a path", enters(path=False), InvalidCommit, "an external commit without a path"),
    Row("12.4.3.2", "the joiner signs it", enters(key=TWIN.signature_private_key), BadSignature, "FramedContentTBS"),
    Row(
        "7.3",
        "[external] the leaf is signed by its own key",
        enters(leaf={"signature_key": WATCHDOG_KEY}, key=WATCHDOG.signature_private_key),
        BadSignature,
        "LeafNodeTBS",
    ),
    Row(
        "7.3",
        "[external] the leaf was not made for a KeyPackage",
        changed(leaf_node_source=lifetime(-1, 1)),
        InvalidLeafNode,
        SOURCE,
    ),
    Row(
        "7.3",
        "[external] the leaf was not made for an Update",
        changed(leaf_node_source=FromUpdate()),
        InvalidLeafNode,
        SOURCE,
    ),
    Row(
        "7.2",
        "[external] the protocol version is listed",
        enters(capabilities=replace(LEAVING, versions=())),
        InvalidLeafNode,
        "does not list this version",
    ),
    Row(
        "7.2",
        "[external] the leaf's own credential type is listed",
        enters(capabilities=replace(LEAVING, credentials=(2, 3))),
        InvalidLeafNode,
        "its own credential type",
    ),
    Row(
        "7.3",
        "[external] the leaf's own extensions are listed",
        changed(extensions=(Extension(0xF0A9, b""),)),
        InvalidLeafNode,
        "its own extension 0xf0a9",
    ),
    Row(
        "13.4",
        "[external] no extension stands in the leaf twice",
        changed(extensions=(CHARTER, CHARTER)),
        InvalidLeafNode,
        "two extensions",
    ),
    Row(
        "13.4",
        "[external] the group's extensions are listed",
        enters(capabilities=replace(LEAVING, extensions=(0xF0A1,))),
        InvalidLeafNode,
        "the group's extension 0xf0a0",
    ),
    Row(
        "11.1",
        "[external] a required extension is listed",
        enters(capabilities=replace(LEAVING, extensions=(0xF0A0,))),
        InvalidLeafNode,
        "extension 0xf0a1",
    ),
    Row(
        "11.1",
        "[external] a required proposal is listed",
        enters(capabilities=replace(LEAVING, proposals=(10,))),
        InvalidLeafNode,
        "proposal 0xf0a2",
    ),
    Row(
        "11.1",
        "[external] a required credential type is listed",
        enters(capabilities=replace(LEAVING, credentials=(1,))),
        InvalidLeafNode,
        "credential 0x0003",
    ),
    Row("5.1.1", "[external] the encryption key is usable", changed(encryption_key=LOW), BadKey, "low order"),
    Row(
        "12.4.2",
        "[external] the encryption key is no member's",
        lambda: changed(encryption_key=as_it_was())(),
        InvalidCommit,
        "a key of the path stands in the tree already",
    ),
    Row(
        "5.3.1",
        "[external] the Authentication Service vouches for the credential",
        enters(person=Person(SUITE, Credential.basic(b"banned"), GUEST.signature_private_key)),
        InvalidCredential,
        "banned",
    ),
    Row(
        "7.3",
        "[external] the signature key is no member's",
        lambda: enters(person=gate().people[2])(),
        InvalidLeafNode,
        "two members have one signature key",
    ),
    Row(
        "5.3.1",
        "[resync] the credential is the same client's",
        back(b"guest", own_key=False),
        InvalidLeafNode,
        "is no successor of the old",
    ),
    Row(
        "5.3.1",
        "[resync] the credential is the same client's though the key is",
        lambda: back(b"guest")(),
        InvalidLeafNode,
        "is no successor of the old",
    ),
    Row(
        "5.3.1",
        "[resync] the Authentication Service vouches for the credential",
        back(b"member 2/banned", own_key=False),
        InvalidCredential,
        "banned",
    ),
    Row(
        "7.3",
        "[resync] the encryption key is a new one",
        lambda: back(leaf={"encryption_key": as_it_was()})(),
        InvalidLeafNode,
        "the leaf keeps its encryption key",
    ),
)
def test_an_external_commit(row: Row) -> None:
    judge(row)


def damaged_init(kem_output: bytes) -> Callable[[], Case]:
    return enters([ExternalInit(kem_output)], members_only=True)


OTHER_INIT = make_external_init(SUITE, SUITE.derive_key_pair(b"another group's")[1])[0]


@table(
    Row("8.3", "the KEM output is whole", damaged_init(b"short"), DecryptionFailed, "KEM output"),
    Row(
        "8.3",
        "the KEM output is for this epoch's key",
        enters([OTHER_INIT], members_only=True),
        BadTag,
        "the confirmation tag does not fit",
    ),
    Row(
        "8.4",
        "the pre-shared keys are at hand",
        enters([INIT, PreSharedKey.external(SUITE, b"unknown", seeded(1))], members_only=True),
        MissingPreSharedKey,
        "pre-shared key",
    ),
)
def test_what_only_members_can_judge_of_an_external_commit(row: Row) -> None:
    judge(row)


# The GroupInfo that lets somebody in


def let_in(beside: tuple[Extension, ...]) -> Callable[[], Case]:
    """Member 0 signs a GroupInfo, and the guest tries to join by it."""

    def case() -> Case:
        here = gate()
        fair = here[b"member 0"].group_info(external=True)
        who = (GUEST.credential, GUEST.signature_private_key, here.auth)

        def join(info: bytes) -> Callable[[], object]:
            return lambda: Group.join_externally(
                info, *who, random=seeded(1), ratchet_tree=here.public.tree_bytes(), capabilities=LEAVING
            )

        return Case([join(info_with(here[b"member 0"], beside))], [join(fair)])

    return case


def external_key(content: bytes) -> Callable[[], Case]:
    return let_in((Extension(EXTERNAL_PUB, content),))


@table(
    Row("12.4.3.2", "there is an external key", let_in(()), InvalidGroupInfo, "a GroupInfo without external key"),
    Row("12.4.3.2", "the external key is one", external_key(b""), DecodeError, "nothing left"),
    Row(
        "12.4.3.2",
        "nothing follows the external key",
        external_key(ExternalPub(b"x").encode() + b"\0"),
        DecodeError,
        "left over",
    ),
    Row(
        "5.1.1",
        "the external key is a key of the suite",
        external_key(ExternalPub(b"short").encode()),
        BadKey,
        "of 5 bytes",
    ),
    Row("5.1.1", "the external key is usable", external_key(ExternalPub(LOW).encode()), BadKey, "low order"),
)
def test_a_group_info_for_joiners(row: Row) -> None:
    judge(row)


# Proposals from outside


def framed(sender: Sender, content: Content, person: Person, **place: Any) -> bytes:
    """Anything from outside, signed by this person."""
    context = gate().public.context
    made = FramedContent(context.group_id, context.epoch, sender, b"", content)
    signed = AuthenticatedContent.sign(
        SUITE, PUBLIC_MESSAGE, replace(made, **place), context, person.signature_private_key
    )
    if isinstance(content, Commit):
        signed = signed.with_confirmation_tag(bytes(SUITE.hash_length))
    return from_outside(signed)


def from_watchdog(
    content: Content | Proposal, *, index: int = 1, person: Person = WATCHDOG, **place: Any
) -> Callable[[], Case]:
    """The watchdog proposes what it may not, or somebody in its place."""

    def case() -> Case:
        said = content if isinstance(content, ProposalContent | Commit) else ProposalContent(content)
        hostile = framed(ExternalSenderIndex(index), said, person, **place)
        fair = framed(ExternalSenderIndex(1), ProposalContent(Remove(2)), WATCHDOG)
        return heard(inside(1), gate().public, hostile, fair, proposal=True)

    return case


def wish(
    package: object = HONEST_WISH, *, person: Person = GUEST, content: Content | None = None, **place: Any
) -> Callable[[], Case]:
    """The guest asks to be added."""

    def case() -> Case:
        said = content or ProposalContent(Add(package))  # type: ignore[arg-type]
        hostile = framed(NewMemberProposal(), said, person, **place)
        fair = framed(NewMemberProposal(), ProposalContent(Add(HONEST_WISH)), GUEST)
        return heard(inside(1), gate().public, hostile, fair, proposal=True)

    return case


def not_a_commit() -> Case:
    """A joiner's Commit that is a proposal."""
    hostile = framed(NewMemberCommit(), ProposalContent(Remove(2)), GUEST)
    reader, public, _ = with_proposals()
    fair = forge_external(public, external_pub(gate()), GUEST, capabilities=LEAVING)
    return heard(reader, public, hostile, fair)


NOT_LISTED = "a sender that is not listed in external_senders"
KIND = "this kind of sender can't send this content"


@table(
    Row("12.1.8", "an external sender is listed", from_watchdog(Remove(2), index=2), InvalidMessage, NOT_LISTED),
    Row("6.1", "an external sender signs", from_watchdog(Remove(2), person=GUEST), BadSignature, "FramedContentTBS"),
    Row(
        "6.1", "an external sender signs as itself", from_watchdog(Remove(2), index=0), BadSignature, "FramedContentTBS"
    ),
    Row(
        "12.1",
        "an external proposal is of this epoch",
        from_watchdog(Remove(2), epoch=0),
        WrongEpoch,
        "message of epoch 0",
    ),
    Row(
        "8.1",
        "an external proposal is for this group",
        from_watchdog(Remove(2), group_id=b"x"),
        WrongGroup,
        "message of group",
    ),
    Row("12.1.3", "an external proposal is judged", from_watchdog(Remove(7)), InvalidProposal, "where nobody is"),
    Row(
        "12.1.8",
        "an external sender makes no Update",
        from_watchdog(Update(HONEST.leaf_node)),
        InvalidProposal,
        "an external sender proposes Update",
    ),
    Row(
        "12.1.8",
        "an external sender makes no ExternalInit",
        from_watchdog(ExternalInit(b"x")),
        InvalidProposal,
        "an external sender proposes ExternalInit",
    ),
    Row(
        "12.1.8",
        "an external sender does not leave",
        from_watchdog(SelfRemove()),
        InvalidProposal,
        "an external sender proposes SelfRemove",
    ),
    Row("6.1", "an external sender does not commit", from_watchdog(Commit((), None)), InvalidMessage, KIND),
    Row("6.1", "a client that asks to be added signs", wish(person=TWIN), BadSignature, "FramedContentTBS"),
    Row(
        "6.1",
        "a client that asks to be added asks for nothing else",
        wish(content=ProposalContent(Remove(1))),
        InvalidMessage,
        KIND,
    ),
    Row("6.1", "a client that asks to be added does not commit", wish(content=Commit((), None)), InvalidMessage, KIND),
    Row("12.1", "a wish to be added is of this epoch", wish(epoch=0), WrongEpoch, "message of epoch 0"),
    Row(
        "12.1.1",
        "a wish to be added is judged",
        wish(replace(HONEST_WISH, signature=bytes(64))),
        BadSignature,
        "KeyPackageTBS",
    ),
    Row("6.1", "a joiner's message is a Commit", not_a_commit, InvalidMessage, KIND),
)
def test_a_proposal_from_outside(row: Row) -> None:
    judge(row)


# SelfRemove


def leaves(
    hostile: Callable[[Group, Sequence[bytes]], bytes], honest: Callable[[Group, Sequence[bytes]], bytes]
) -> Callable[[], Case]:
    """A Commit by a member that has heard that member 3 leaves."""

    def case() -> Case:
        reader, public, references = with_proposals()
        author = replace(inside(0), public=public)
        return heard(reader, public, hostile(author, references), honest(author, references))

    return case


def granted(author: Group, references: Sequence[bytes]) -> bytes:
    return forge(author, [references[0]])


def sealed() -> Case:
    """It can't be seen by whoever joins."""
    author = inside(3)
    hostile, _ = author.message_keys().seal(
        3, ProposalContent(SelfRemove()), b"", author.signature_private_key, 1, seeded("sealed")
    )
    return heard(inside(1), None, hostile, send(author, ProposalContent(SelfRemove())))


def unknown_to_some() -> Case:
    """Somebody is in who does not list it; a Commit that removes that one too may hold it."""
    world = World(SUITE, 3, path=False, seed="leaving", capabilities=LEAVING)
    world.capabilities = ABLE
    world.add(b"member 0", [TWIN], path=False)
    message = send(world[b"member 2"], ProposalContent(SelfRemove()))
    public = world.public.proposal(message, NOW)
    reader, _ = world[b"member 1"].process(message, now_seconds=NOW)
    author, (reference,) = replace(world[b"member 0"], public=public), public.proposals
    return heard(reader, public, forge(author, [reference]), forge(author, [reference, Remove(3)]))


def own(author: Group, references: Sequence[bytes]) -> bytes:
    """Member 3 commits that it leaves."""
    return forge(replace(inside(3), public=author.public), [references[0]])


@table(
    Row("ours", "a SelfRemove is not sealed", sealed, InvalidProposal, "a SelfRemove that is sealed"),
    Row(
        "12.2",
        "all members know SelfRemove",
        unknown_to_some,
        InvalidProposal,
        "a proposal whose type leaf 3 does not support",
    ),
    Row(
        "ours",
        "a SelfRemove travels on its own",
        leaves(lambda author, _: forge(author, [SelfRemove()]), granted),
        InvalidProposal,
        "a SelfRemove by value",
    ),
    Row(
        "ours",
        "nobody commits its own SelfRemove",
        leaves(own, granted),
        InvalidProposal,
        "a SelfRemove by the committer",
    ),
    Row(
        "12.2",
        "nobody leaves and is removed",
        leaves(lambda author, both: forge(author, list(both)), granted),
        InvalidProposal,
        "two proposals change one leaf",
    ),
    Row(
        "12.4",
        "a SelfRemove has a path",
        leaves(lambda author, both: forge(author, [both[0]], path=False), granted),
        InvalidCommit,
        "a Commit without the path it needs",
    ),
)
def test_a_member_that_leaves(row: Row) -> None:
    judge(row)
