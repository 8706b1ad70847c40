"""Somebody outside a group that comes in by a Commit of its own, honestly or breaking one rule at a time."""

from collections.abc import Callable, Sequence

from keys.mls import (
    Group,
    LeafNode,
    NewMemberCommit,
    PendingCommit,
    PreSharedKey,
    Proposal,
    PublicGroup,
    Remove,
    SentProposal,
)
from keys.mls.applying import apply
from keys.mls.commits import sign_handshake
from keys.mls.external import Entrance, from_outside
from keys.mls.externalinit import make_external_init
from keys.mls.hpke import Random
from keys.mls.leaves import Place, new_capabilities, sign_leaf
from keys.mls.messages import ByReference, ByValue, Commit, ProposalOrRef, UpdatePath
from keys.mls.nodes import FromCommit
from keys.mls.presharedkeys import Psks
from keys.mls.treekem import create_path, provisional_context
from tests.keys.mls.people import NOW, Person, World

Mend = Callable[[LeafNode], LeafNode]


def enter(
    world: World,
    person: Person,
    *,
    by: bytes | None = None,
    remove: int | None = None,
    psk_proposals: Sequence[PreSharedKey] = (),
    psks: Psks | None = None,
    self_removes: Sequence[bytes] = (),
) -> PendingCommit:
    """An external commit with the GroupInfo of some member, the tree beside it."""
    member = world.groups[by] if by else next(iter(world.groups.values()))
    return Group.join_externally(
        member.group_info(external=True),
        person.credential,
        person.signature_private_key,
        world.auth,
        random=world.random,
        ratchet_tree=world.public.tree_bytes(),
        remove=remove,
        psk_proposals=psk_proposals,
        psks=psks,
        self_removes=self_removes,
        capabilities=world.capabilities,
        now_seconds=NOW,
    )


def come_in(world: World, person: Person, pending: PendingCommit, psks: dict[bytes, bytes] | None = None) -> None:
    """Its Commit is accepted and everybody follows; an old appearance of the joiner's is put out."""
    name = person.credential.identity
    world.accept(b"", pending, psks)
    world.groups[name] = pending.group
    world.agree()


def external_pub(world: World) -> bytes:
    group = world[b"member 0"]
    return Entrance.read(group.group_info(external=True), group.tree_bytes(), world.auth, NOW).external_pub


def outside_commit(public: PublicGroup, person: Person, commit: Commit, *, key: bytes | None = None) -> bytes:
    """Any Commit, signed as an external one; its confirmation tag is not the right one."""
    private_key = key or person.signature_private_key
    signed = sign_handshake(public, NewMemberCommit(), commit, b"", private_key)
    return from_outside(signed.with_confirmation_tag(bytes(public.suite.hash_length)))


def joiners_path(
    public: PublicGroup, person: Person, random: Random, *, remove: int | None = None, mend: Mend = lambda leaf: leaf
) -> UpdatePath:
    """The path of an honest external commit, but for what `mend` does to its leaf before it is signed."""
    suite = public.suite
    external_init, _ = make_external_init(suite, suite.derive_key_pair(b"any key")[1])
    proposals: list[Proposal] = [external_init, *([] if remove is None else [Remove(remove)])]
    applied = apply(
        public.checker(NOW), [SentProposal(one, NewMemberCommit(), None) for one in proposals], NewMemberCommit()
    )
    place = Place(public.group_id, applied.committer)

    def make_leaf(encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        signature_key = suite.signature_public_key(person.signature_private_key)
        can = new_capabilities(suite, person.credential)
        honest = LeafNode(encryption_key, signature_key, person.credential, can, FromCommit(parent_hash), (), b"")
        return sign_leaf(suite, mend(honest), person.signature_private_key, place)

    created = create_path(
        applied.tree,
        applied.committer,
        make_leaf,
        lambda tree_hash: provisional_context(public.context, tree_hash, applied.extensions),
        frozenset(),
        random,
    )
    return created.path


def forced(
    world: World,
    person: Person,
    proposals: Sequence[Proposal | bytes],
    *,
    remove: int | None = None,
    mend: Mend = lambda leaf: leaf,
    path: bool = True,
) -> bytes:
    """An external commit of any proposals, by value or by reference (bytes)."""
    listed: tuple[ProposalOrRef, ...] = tuple(
        ByReference(one) if isinstance(one, bytes) else ByValue(one) for one in proposals
    )
    made = joiners_path(world.public, person, world.random, remove=remove, mend=mend) if path else None
    return outside_commit(world.public, person, Commit(listed, made))
