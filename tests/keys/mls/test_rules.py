"""What members and the Delivery Service refuse: one rule broken at a time, signed as an insider could."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from keys.mls import (
    REQUIRED_CAPABILITIES,
    Add,
    BadKey,
    BadSignature,
    BadTag,
    Capabilities,
    Credential,
    DecodeError,
    Extension,
    ExternalPsk,
    GroupContextExtensions,
    InvalidCommit,
    InvalidCredential,
    InvalidKeyPackage,
    InvalidLeafNode,
    InvalidMessage,
    InvalidProposal,
    MLSError,
    MLSMessage,
    PreSharedKey,
    PreSharedKeyID,
    Proposal,
    Remove,
    RequiredCapabilities,
    Update,
    WrongEpoch,
    cipher_suite,
)
from keys.mls.codec import Vector, encode_with
from keys.mls.framing import (
    ApplicationData,
    ExternalSenderIndex,
    FramedContent,
    MemberSender,
    NewMemberCommit,
    NewMemberProposal,
    ProposalContent,
    PublicMessage,
)
from keys.mls.hpke import LOW_ORDER
from keys.mls.messages import Commit, ExternalInit, ReInit, ResumptionPsk, UpdatePath
from keys.mls.nodes import EXTERNAL_SENDERS, ExternalSender, FromCommit, FromUpdate
from tests.keys.mls.insider import commit_of, commit_to, key_package, lifetime, path_of, resigned, send
from tests.keys.mls.people import DAY, NOW, Person, World

SUITE = cipher_suite(1)
LOW = min(LOW_ORDER)


def world(count: int = 4) -> World:
    return World(SUITE, count, path=False)


def refused(world: World, message: bytes, error: type[MLSError], reason: str) -> None:
    """A member and the Delivery Service both refuse it, for that reason, and nothing of theirs changes."""
    before = dict(world[b"member 1"].parts())
    with pytest.raises(error, match=reason):
        world[b"member 1"].process(message, now_seconds=NOW)
    with pytest.raises(error, match=reason):
        world.public.stage(message, NOW)
    assert dict(world[b"member 1"].parts()) == before


GUEST = Person.named(SUITE, b"guest")
TWIN = Person.named(SUITE, b"twin")
HONEST = key_package(GUEST)
CAPABILITIES = HONEST.leaf_node.capabilities
FOREIGN = Extension(0xF0A0, b"")


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        pytest.param(lambda w: key_package(GUEST, version=2), InvalidKeyPackage, "version", id="version"),
        pytest.param(lambda w: key_package(GUEST, cipher_suite=3), InvalidKeyPackage, "suite", id="suite"),
        pytest.param(
            lambda w: key_package(GUEST, init_key=HONEST.leaf_node.encryption_key),
            InvalidKeyPackage,
            "init key",
            id="init key is the encryption key",
        ),
        pytest.param(lambda w: key_package(GUEST, init_key=LOW), BadKey, "low order", id="unusable init key"),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"encryption_key": LOW}), BadKey, "low order", id="unusable key"
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"leaf_node_source": FromUpdate()}),
            InvalidKeyPackage,
            "not made for",
            id="leaf from an update",
        ),
        pytest.param(lambda w: replace(HONEST, signature=bytes(64)), BadSignature, "verify", id="its signature"),
        pytest.param(
            lambda w: key_package(GUEST, leaf_node=replace(HONEST.leaf_node, signature=bytes(64))),
            BadSignature,
            "verify",
            id="its leaf's signature",
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"leaf_node_source": lifetime(-9, -1)}),
            InvalidLeafNode,
            "lifetime",
            id="run out",
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"leaf_node_source": lifetime(1, 9)}),
            InvalidLeafNode,
            "lifetime",
            id="not begun",
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"leaf_node_source": lifetime(-DAY, 92 * DAY)}),
            InvalidLeafNode,
            "lifetime over",
            id="lives too long",
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"capabilities": replace(CAPABILITIES, versions=(2,))}),
            InvalidLeafNode,
            "version",
            id="can't the version",
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"capabilities": replace(CAPABILITIES, credentials=(2,))}),
            InvalidLeafNode,
            "its own credential type",
            id="can't its credential",
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"extensions": (FOREIGN,)}),
            InvalidLeafNode,
            "own extension",
            id="can't its extension",
        ),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"extensions": (Extension(1, b""), Extension(1, b""))}),
            InvalidLeafNode,
            "two extensions",
            id="an extension of the leaf twice",
        ),
        pytest.param(
            lambda w: key_package(GUEST, extensions=(FOREIGN, FOREIGN)),
            InvalidLeafNode,
            "two extensions",
            id="an extension twice",
        ),
        pytest.param(lambda w: w.auth.banned.add(b"guest") or HONEST, InvalidCredential, "banned", id="credential"),
        pytest.param(lambda w: key_package(w.people[2]), InvalidLeafNode, "signature key", id="a member already"),
        pytest.param(
            lambda w: key_package(GUEST, leaf={"encryption_key": w[b"member 2"].own_leaf.encryption_key}),
            InvalidLeafNode,
            "encryption key",
            id="a member's encryption key",
        ),
        pytest.param(
            lambda w: key_package(
                GUEST,
                leaf={
                    "credential": Credential.x509([b"der"]),
                    "capabilities": replace(CAPABILITIES, credentials=(1, 2)),
                },
            ),
            InvalidLeafNode,
            "credential type 2",
            id="a credential that others can't read",
        ),
        pytest.param(
            lambda w: key_package(
                GUEST,
                leaf={
                    "credential": Credential.x509([b"der"]),
                    "capabilities": replace(CAPABILITIES, credentials=(2,)),
                },
            ),
            InvalidLeafNode,
            "credential type",
            id="can't read the others' credentials",
        ),
    ],
)
def test_key_packages_that_are_not_added(make: Callable[[World], object], error: type[MLSError], reason: str) -> None:
    here = world()
    package = make(here)
    message = commit_to(here[b"member 0"], [Add(package)])  # type: ignore[arg-type]
    refused(here, message, error, reason)


def test_a_leaf_that_leaves_the_groups_suite_out_of_its_list_is_taken() -> None:
    here = world()
    package = key_package(GUEST, leaf={"capabilities": replace(CAPABILITIES, cipher_suites=(2,))})
    here.accept(b"member 0", here[b"member 0"].commit([Add(package)], random=here.random))
    assert any(member.credential == GUEST.credential for member in here.public.members)


def _required(*credentials: int, extensions: tuple[int, ...] = (), proposals: tuple[int, ...] = ()) -> Extension:
    return Extension(REQUIRED_CAPABILITIES, RequiredCapabilities(extensions, proposals, credentials).encode())


def psk(identity: bytes = b"id", nonce: bytes = bytes(32)) -> PreSharedKey:
    return PreSharedKey(PreSharedKeyID(ExternalPsk(identity), nonce))


@pytest.mark.parametrize(
    ("proposals", "error", "reason"),
    [
        pytest.param([Remove(0)], InvalidProposal, "Remove of the committer", id="removes the committer"),
        pytest.param([Remove(7)], InvalidProposal, "nobody", id="removes nobody"),
        pytest.param([Remove(70000)], InvalidProposal, "nobody", id="removes outside the tree"),
        pytest.param([Remove(2), Remove(2)], InvalidProposal, "one leaf", id="removes twice"),
        pytest.param([Add(HONEST), Add(HONEST)], InvalidProposal, "one client", id="adds twice"),
        pytest.param(
            [Add(HONEST), Add(key_package(TWIN, init_key=HONEST.init_key))],
            InvalidProposal,
            "one init key",
            id="adds two with one init key",
        ),
        pytest.param(
            [Add(HONEST), Add(key_package(TWIN, leaf={"encryption_key": HONEST.leaf_node.encryption_key}))],
            InvalidLeafNode,
            "encryption key",
            id="adds two with one encryption key",
        ),
        pytest.param([psk(nonce=bytes(31))], InvalidProposal, "nonce", id="nonce too short"),
        pytest.param([psk(), psk()], InvalidProposal, "twice", id="a pre-shared key twice"),
        pytest.param(
            [PreSharedKey(PreSharedKeyID(ResumptionPsk(2, b"g", 1), bytes(32)))],
            InvalidProposal,
            "links",
            id="a resumption key that founds another group",
        ),
        pytest.param(
            [GroupContextExtensions(()), GroupContextExtensions(())],
            InvalidProposal,
            "two GroupContextExtensions",
            id="extensions twice",
        ),
        pytest.param(
            [GroupContextExtensions((FOREIGN, FOREIGN))],
            InvalidLeafNode,
            "two extensions",
            id="an extension twice",
        ),
        pytest.param([GroupContextExtensions((FOREIGN,))], InvalidLeafNode, "0xf0a0", id="an extension members can't"),
        pytest.param(
            [GroupContextExtensions((_required(extensions=(0xF0A1,)),))],
            InvalidLeafNode,
            "extension 0xf0a1",
            id="requires an extension members can't",
        ),
        pytest.param(
            [GroupContextExtensions((_required(proposals=(0xF0A1,)),))],
            InvalidLeafNode,
            "proposal 0xf0a1",
            id="requires a proposal members can't",
        ),
        pytest.param(
            [GroupContextExtensions((_required(2),))],
            InvalidLeafNode,
            "credential 0x0002",
            id="requires a credential members can't",
        ),
        pytest.param(
            [GroupContextExtensions((Extension(REQUIRED_CAPABILITIES, b"\0\0"),))],
            DecodeError,
            "nothing left",
            id="required capabilities cut short",
        ),
        pytest.param([ReInit(b"", 0, 1, ())], InvalidProposal, "lower", id="reinit to a lower version"),
        pytest.param([ExternalInit(b"")], InvalidProposal, "ExternalInit", id="external init"),
        pytest.param([b"unknown"], InvalidCommit, "not seen", id="a reference to nothing"),
    ],
)
def test_proposals_that_are_not_committed(
    proposals: list[Proposal | bytes], error: type[MLSError], reason: str
) -> None:
    here = world()
    refused(here, commit_to(here[b"member 0"], proposals), error, reason)


@pytest.mark.parametrize(
    "proposals",
    [
        pytest.param([], id="nothing"),
        pytest.param([Remove(2)], id="a remove"),
        pytest.param([GroupContextExtensions(())], id="extensions"),
        pytest.param([Add(HONEST), Remove(2)], id="a remove beside an add"),
    ],
)
def test_commits_that_need_a_path(proposals: list[Proposal | bytes]) -> None:
    here = world()
    refused(here, commit_to(here[b"member 0"], proposals, path=False), InvalidCommit, "path")


def test_required_capabilities_that_all_have_are_taken() -> None:
    here = world()
    extension = _required(1, extensions=(1, 2), proposals=(1, 7))
    pending = here[b"member 0"].commit([GroupContextExtensions((extension,))], random=here.random)
    here.accept(b"member 0", pending)
    poor = key_package(GUEST, leaf={"capabilities": replace(CAPABILITIES, credentials=())})
    refused(here, commit_to(here[b"member 0"], [Add(poor)]), InvalidLeafNode, "credential")


def test_a_key_package_may_carry_what_it_lists() -> None:
    here = world()
    listed = replace(CAPABILITIES, extensions=(0x0A0A, 0xF0A0), proposals=(0x1A1A,), credentials=(1, 0x2A2A))
    package = key_package(GUEST, leaf={"capabilities": listed, "extensions": (FOREIGN,)})
    pending = here[b"member 0"].commit([Add(package)], random=here.random)
    here.accept(b"member 0", pending)
    assert here[b"member 1"].members[-1].credential == GUEST.credential


def test_external_senders_are_asked_of_the_authentication_service() -> None:
    here = world()
    here.auth.banned.add(b"service")
    key = SUITE.signature_public_key(SUITE.generate_signature_key(here.random))
    sender = ExternalSender(key, Credential.basic(b"service"))
    listed = Extension(EXTERNAL_SENDERS, encode_with(Vector(ExternalSender), (sender,)))
    message = commit_to(here[b"member 0"], [GroupContextExtensions((listed,))])
    refused(here, message, InvalidCredential, "banned")


# Updates, which come by reference


def proposed(here: World, by: bytes, proposal: Proposal) -> bytes:
    return send(here[by], ProposalContent(proposal))


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        pytest.param({}, None, "", id="honest"),
        pytest.param({"leaf_node_source": FromCommit(b"x")}, InvalidLeafNode, "source", id="from a commit"),
        pytest.param({"leaf_node_source": lifetime(-1, 1)}, InvalidLeafNode, "source", id="from a KeyPackage"),
        pytest.param({"encryption_key": None}, InvalidLeafNode, "keeps", id="keeps its key"),
        pytest.param({"encryption_key": LOW}, BadKey, "low order", id="an unusable key"),
        pytest.param({"credential": Credential.basic(b"mallory")}, InvalidLeafNode, "successor", id="another's name"),
        pytest.param(
            {"credential": Credential.basic(b"member 2/9")}, InvalidCredential, "banned", id="a banned credential"
        ),
        pytest.param({"capabilities": Capabilities((), (), (), (), ())}, InvalidLeafNode, "version", id="can nothing"),
    ],
)
def test_updates_that_are_not_kept(change: dict[str, object], error: type[MLSError] | None, reason: str) -> None:
    here = world()
    here.auth.banned.add(b"member 2/9")
    group = here[b"member 2"]
    fresh = SUITE.derive_key_pair(b"fresh")[1]
    if "encryption_key" in change and change["encryption_key"] is None:
        change = {"encryption_key": group.own_leaf.encryption_key}
    leaf = resigned(group, group.own_leaf, **{"encryption_key": fresh, "leaf_node_source": FromUpdate(), **change})
    message = proposed(here, b"member 2", Update(leaf))
    if error is None:
        assert len(here.public.proposal(message, NOW).proposals) == 1
        return
    with pytest.raises(error, match=reason):
        here[b"member 1"].process(message, now_seconds=NOW)
    with pytest.raises(error, match=reason):
        here.public.proposal(message, NOW)


def test_an_update_counts_in_its_senders_place_only() -> None:
    here = world()
    leaf = here[b"member 2"].propose_update(random=here.random)[0].pending_proposals[0].proposal
    with pytest.raises(BadSignature):
        here.public.proposal(proposed(here, b"member 3", leaf), NOW)
    refused(here, commit_to(here[b"member 0"], [leaf]), InvalidProposal, "Update by the committer")


def test_two_changes_of_one_leaf_are_not_committed_together() -> None:
    here = world()
    for _ in range(2):
        here.propose(b"member 2", here[b"member 2"].propose_update(random=here.random))
    first, second = here.public.proposals
    refused(here, commit_to(here[b"member 0"], [first, second]), InvalidProposal, "one leaf")
    refused(here, commit_to(here[b"member 0"], [first, Remove(2)]), InvalidProposal, "one leaf")
    refused(here, commit_to(here[b"member 0"], [first, first]), InvalidCommit, "twice")
    refused(here, commit_to(here[b"member 2"], [first]), InvalidProposal, "Update by the committer")


# Paths


def _path(**changes: object) -> Callable[[World], UpdatePath]:
    """An honest path whose leaf is changed and signed again."""

    def make(here: World) -> UpdatePath:
        group = here[b"member 0"]
        path = path_of(group)
        return UpdatePath(resigned(group, path.leaf_node, **changes), path.nodes)

    return make


def _nodes(change: Callable[[World, UpdatePath], tuple[object, ...]]) -> Callable[[World], UpdatePath]:
    """An honest path whose nodes are changed."""

    def make(here: World) -> UpdatePath:
        path = path_of(here[b"member 0"])
        return UpdatePath(path.leaf_node, change(here, path))  # type: ignore[arg-type]

    return make


def _rekeyed(path: UpdatePath, key: bytes) -> tuple[object, ...]:
    return (replace(path.nodes[0], encryption_key=key), *path.nodes[1:])


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        pytest.param(_nodes(lambda w, p: p.nodes[:-1]), InvalidCommit, "filtered direct path", id="too short"),
        pytest.param(_nodes(lambda w, p: (*p.nodes, p.nodes[0])), InvalidCommit, "filtered direct path", id="too long"),
        pytest.param(
            _nodes(lambda w, p: (replace(p.nodes[0], encrypted_path_secret=()), *p.nodes[1:])),
            InvalidCommit,
            "secrets for",
            id="a secret missing",
        ),
        pytest.param(
            _nodes(lambda w, p: _rekeyed(p, p.nodes[1].encryption_key)),
            InvalidCommit,
            "in the tree already",
            id="one key twice",
        ),
        pytest.param(
            _nodes(lambda w, p: _rekeyed(p, w[b"member 3"].own_leaf.encryption_key)),
            InvalidCommit,
            "in the tree already",
            id="a member's key",
        ),
        pytest.param(
            _nodes(lambda w, p: _rekeyed(p, p.leaf_node.encryption_key)),
            InvalidCommit,
            "in the tree already",
            id="the leaf's own key",
        ),
        pytest.param(_nodes(lambda w, p: _rekeyed(p, LOW)), BadKey, "low order", id="an unusable key"),
        pytest.param(
            _nodes(lambda w, p: _rekeyed(p, SUITE.derive_key_pair(b"x")[1])),
            InvalidCommit,
            "another path",
            id="a key the leaf does not vouch for",
        ),
        pytest.param(
            _path(leaf_node_source=FromCommit(bytes(32))), InvalidCommit, "another path", id="a wrong parent hash"
        ),
        pytest.param(_path(leaf_node_source=FromUpdate()), InvalidLeafNode, "source", id="leaf from an update"),
        pytest.param(
            lambda w: UpdatePath(
                replace(path_of(w[b"member 0"]).leaf_node, signature=bytes(64)), path_of(w[b"member 0"]).nodes
            ),
            BadSignature,
            "verify",
            id="the leaf's signature",
        ),
        pytest.param(
            lambda w: UpdatePath(
                replace(
                    resigned(w[b"member 0"], path_of(w[b"member 0"]).leaf_node),
                    encryption_key=w[b"member 0"].own_leaf.encryption_key,
                ),
                path_of(w[b"member 0"]).nodes,
            ),
            InvalidLeafNode,
            "keeps",
            id="the leaf keeps its key",
        ),
        pytest.param(_path(encryption_key=LOW), BadKey, "low order", id="the leaf has an unusable key"),
        pytest.param(_path(credential=Credential.basic(b"mallory")), InvalidLeafNode, "successor", id="another's name"),
        pytest.param(
            _path(capabilities=Capabilities((1,), (1,), (), (), ())),
            InvalidLeafNode,
            "credential type",
            id="the leaf can't its own credential",
        ),
    ],
)
def test_paths_that_are_not_followed(make: Callable[[World], UpdatePath], error: type[MLSError], reason: str) -> None:
    here = world()
    refused(here, send(here[b"member 0"], Commit((), make(here))), error, reason)


def test_a_leaf_signed_for_another_place_is_not_taken() -> None:
    here = world()
    message = send(here[b"member 0"], Commit((), path_of(here[b"member 2"])))
    refused(here, message, BadSignature, "verify")


def test_path_secrets_that_do_not_give_the_path() -> None:
    """Only members can see it: the secret of one node is sealed in place of another's, or is damaged."""
    here = World(SUITE, 4)
    pending = here[b"member 0"].commit(random=here.random)
    commit = commit_of(pending.message)
    assert commit.path is not None
    low, high = commit.path.nodes
    context = pending.group.context
    provisional = replace(context, confirmed_transcript_hash=here.public.context.confirmed_transcript_hash)
    key = here[b"member 1"].own_leaf.encryption_key
    other = SUITE.encrypt_with_label(key, b"UpdatePathNode", provisional.encode(), bytes(32))
    swapped = replace(low, encrypted_path_secret=(other,))
    message = send(here[b"member 0"], Commit((), UpdatePath(commit.path.leaf_node, (swapped, high))))
    here.public.stage(message, NOW)
    with pytest.raises(InvalidCommit, match="does not give its key"):
        here[b"member 1"].process(message, now_seconds=NOW)


# Framing


def test_tags_and_signatures() -> None:
    here = world()
    pending = here[b"member 0"].commit(random=here.random)
    public = MLSMessage.unwrap(pending.message)
    assert isinstance(public, PublicMessage)
    assert public.membership_tag is not None
    wrong = replace(public, membership_tag=bytes([public.membership_tag[0] ^ 1]) + public.membership_tag[1:])
    for tag in (wrong.membership_tag, public.membership_tag[:-1], b""):
        with pytest.raises(BadTag, match="membership"):
            here[b"member 1"].process(MLSMessage.wrap(replace(public, membership_tag=tag)), now_seconds=NOW)
    signature = bytes(len(public.auth.signature))
    damaged = replace(public, auth=replace(public.auth, signature=signature))
    refused(here, MLSMessage.wrap(damaged), BadSignature, "verify")
    claimed = send(here[b"member 0"], commit_of(pending.message), tag=bytes(32))
    here.public.stage(claimed, NOW)  # the Delivery Service can't see this one
    with pytest.raises(BadTag):
        here[b"member 1"].process(claimed, now_seconds=NOW)
    cut = send(here[b"member 0"], commit_of(pending.message), tag=public.auth.confirmation_tag[:16])
    with pytest.raises(BadTag):
        here[b"member 1"].process(cut, now_seconds=NOW)


def _reframed(here: World, **changes: object) -> bytes:
    public = MLSMessage.unwrap(here[b"member 0"].commit(random=here.random).message)
    assert isinstance(public, PublicMessage)
    framed = replace(public.framed, **changes)  # type: ignore[arg-type]
    tag = public.membership_tag if isinstance(framed.sender, MemberSender) else None
    auth = public.auth if isinstance(framed.content, Commit) else replace(public.auth, confirmation_tag=None)
    return MLSMessage.wrap(PublicMessage(framed, auth, tag))


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        pytest.param({"sender": MemberSender(7)}, InvalidMessage, "not a member", id="by nobody"),
        pytest.param({"sender": MemberSender(99999)}, InvalidMessage, "not a member", id="from outside the tree"),
        pytest.param({"sender": MemberSender(2)}, BadSignature, "verify", id="in another's name"),
        pytest.param({"sender": ExternalSenderIndex(0)}, InvalidMessage, "kind of sender", id="by an external sender"),
        pytest.param({"sender": NewMemberCommit()}, BadSignature, "verify", id="an external commit"),
        pytest.param({"sender": NewMemberProposal()}, InvalidMessage, "kind of sender", id="by a new member"),
        pytest.param({"epoch": 0}, WrongEpoch, "epoch 0", id="of an earlier epoch"),
        pytest.param({"epoch": 2}, WrongEpoch, "epoch 2", id="of a later epoch"),
        pytest.param({"authenticated_data": b"x"}, BadSignature, "verify", id="with other authenticated data"),
        pytest.param({"content": ApplicationData(b"x")}, InvalidMessage, "not encrypted", id="application data"),
        pytest.param({"content": Commit((), None)}, BadSignature, "verify", id="with other content"),
    ],
)
def test_public_messages_that_are_refused(changes: dict[str, object], error: type[MLSError], reason: str) -> None:
    here = world()
    refused(here, _reframed(here, **changes), error, reason)


def test_what_is_not_for_a_group_is_refused() -> None:
    here = world()
    group, pending = here[b"member 0"], here[b"member 0"].commit([Add(HONEST)], random=here.random)
    assert pending.welcome is not None
    for message in (pending.welcome, pending.group_info, MLSMessage.wrap(HONEST)):
        refused(here, message, InvalidMessage, "PublicMessage")
    proposal = group.propose(Remove(2), random=here.random)[1]
    with pytest.raises(InvalidMessage, match="not a Commit"):
        here.public.stage(proposal, NOW)
    with pytest.raises(InvalidMessage, match="not a proposal"):
        here.public.proposal(pending.message, NOW)
    _, text = group.protect(b"x", random=here.random)
    with pytest.raises(InvalidMessage, match="not a PublicMessage"):
        here.public.stage(text, NOW)


def test_proposals_are_judged_when_they_come() -> None:
    here = world()
    for proposal, error in (
        (Remove(9), InvalidProposal),
        (ReInit(b"", 0, 1, ()), InvalidProposal),
        (Add(replace(HONEST, signature=bytes(64))), BadSignature),
        (GroupContextExtensions((Extension(REQUIRED_CAPABILITIES, b"\0\0"),)), DecodeError),
    ):
        message = proposed(here, b"member 2", proposal)
        with pytest.raises(error):
            here[b"member 1"].process(message, now_seconds=NOW)
        with pytest.raises(error):
            here.public.proposal(message, NOW)


def test_framed_content_is_what_was_signed() -> None:
    framed = FramedContent(b"g", 1, MemberSender(0), b"", Commit((), None))
    assert FramedContent.decode(framed.encode()) == framed
    assert framed.content_type == 3
