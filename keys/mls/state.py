"""A group at rest: named parts, so that a message rewrites kilobytes and a Commit the rest.

    public          context and confirmation tag                    new with each Commit
    tree            the ratchet tree                                new with each Commit
    proposals       what waits for a Commit; absent if nothing      with each proposal
    epoch           secrets and private keys                        new with each Commit
    updates         the keys of our own pending Updates, if any     with each of them
    backlog         what was announced, if anything                 when it is announced and when it is drained
    resumption      resumption PSKs of past epochs, if any          with each Commit
    exporter-tree   what components can still export                when one does, and with each Commit
    reinit          the ReInit that closed the group, if one did    with its Commit

and of the present epoch and of each past one whose messages can still be read:

    past-<epoch>                        its context and leaves, once it is past      with each Commit
    secret-tree-<epoch>                 secrets of senders not heard yet             when a sender is first heard
    ratchet-<epoch>-<leaf>              one sender's message keys                    with each of its messages
    announced-<epoch>-<leaf>-<block>    its keys kept for a backlog                  with each message of the block

Whoever saves replaces the whole set in one transaction: write the parts whose bytes differ, and *delete those that
are no longer named*; only so are consumed secrets gone (RFC 9420 section 9.2). Parts hold private keys: keep them in
an encrypted store, out of backups.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from keys.mls.codec import Optional, Struct, Vector, decode_all, encode_with, opaque, struct, uint8, uint32
from keys.mls.commits import OwnUpdate
from keys.mls.errors import DecodeError
from keys.mls.exportertree import ExporterTree
from keys.mls.parts import Parts, part
from keys.mls.past import EndedEpoch, Past, PastEpoch
from keys.mls.presharedkeys import load_resumption, resumption_part
from keys.mls.public import PublicGroup
from keys.mls.schedule import EpochSecrets
from keys.mls.secrettree import AnnouncedKeys, Backlog, LeafRatchets, SecretTree, decode_nodes
from keys.mls.treemath import MAX_LEAVES

if TYPE_CHECKING:
    from keys.mls.membership import Membership


@struct
class KeptUpdate(Struct):
    """The private keys behind an Update of ours."""

    encryption_key: Annotated[bytes, opaque]
    encryption_private_key: Annotated[bytes, opaque]
    signature_private_key: Annotated[bytes, opaque]


DIGITS: Final = 20
"""Of the numbers in a part's name: a uint64 has no more."""
kept_updates: Final = Vector(KeptUpdate, MAX_LEAVES)
"""Part `updates`."""


@struct
class KeptPrivateKey(Struct):
    """The private key of a node."""

    node: Annotated[int, uint32]
    key: Annotated[bytes, opaque]


@struct
class EpochPart(Struct):
    """Part `epoch`: a member's secrets."""

    own_leaf_index: Annotated[int, uint32]
    removed: Annotated[int, uint8]
    signature_private_key: Annotated[bytes, opaque]
    private: Annotated[tuple[KeptPrivateKey, ...], Vector(KeptPrivateKey)]
    secrets: EpochSecrets


def secret_tree_parts(epoch: int, tree: SecretTree) -> dict[str, bytes]:
    """Parts `secret-tree-<epoch>`, `ratchet-<epoch>-<leaf>` and `announced-<epoch>-<leaf>-<block>`."""
    parts = {f"ratchet-{epoch}-{leaf_index}": ratchets.encode() for leaf_index, ratchets in tree.ratchets.items()}
    for (leaf_index, block), keys in tree.announced.items():
        parts[f"announced-{epoch}-{leaf_index}-{block}"] = keys.encode()
    parts[f"secret-tree-{epoch}"] = tree.encode_nodes()
    return parts


def load_secret_trees(parts: Parts) -> dict[int, SecretTree]:
    """The secret trees by epoch. Raises `DecodeError`."""
    ratchets: dict[int, dict[int, LeafRatchets]] = {}
    announced: dict[int, dict[tuple[int, int], AnnouncedKeys]] = {}
    for name, content in parts.items():
        if name.startswith("ratchet-"):
            epoch, leaf_index = _numbers(name, 2)
            ratchets.setdefault(epoch, {})[leaf_index] = LeafRatchets.decode(content)
        elif name.startswith("announced-"):
            epoch, leaf_index, block = _numbers(name, 3)
            announced.setdefault(epoch, {})[leaf_index, block] = AnnouncedKeys.decode(content)
    trees = {}
    for name, content in parts.items():
        if name.startswith("secret-tree-"):
            (epoch,) = _numbers(name.removeprefix("secret-"), 1)
            leaves, nodes = decode_nodes(content)
            trees[epoch] = SecretTree(leaves, nodes, ratchets.pop(epoch, {}), announced.pop(epoch, {}))
    if ratchets or announced:
        raise DecodeError("message keys of an epoch that is not kept")
    return trees


def _numbers(name: str, count: int) -> list[int]:
    """The numbers in the name of a part, behind its first word."""
    numbers = name.split("-")[1:]
    if len(numbers) != count or not all(number.isdecimal() and len(number) <= DIGITS for number in numbers):
        raise DecodeError(f"no part has the name {name}")
    return [int(number) for number in numbers]


def past_parts(past: Past) -> dict[str, bytes]:
    """Parts `past-<epoch>`, and the message keys of those epochs."""
    parts = {}
    for one in past:
        parts[f"past-{one.number}"] = one.epoch.encode()
        parts.update(secret_tree_parts(one.number, one.secret_tree))
    return parts


def load_past(parts: Parts, trees: Mapping[int, SecretTree]) -> Past:
    """Raises `DecodeError`."""
    past = []
    for name, content in parts.items():
        if name.startswith("past-"):
            (number,) = _numbers(name, 1)
            epoch, tree = EndedEpoch.decode(content), trees.get(number)
            if tree is None or epoch.context.epoch != number or epoch.leaves != tree.leaves:
                raise DecodeError(f"a past epoch {number} that does not fit its message keys")
            if any(kept.leaf_index >= epoch.leaves for kept in epoch.changed):
                raise DecodeError("a leaf outside its tree")
            past.append(PastEpoch(epoch, tree))
    return tuple(sorted(past, key=lambda one: -one.number))


def own_updates_part(own_updates: Mapping[bytes, OwnUpdate]) -> dict[str, bytes]:
    """Part `updates`, if there is any."""
    kept = tuple(
        KeptUpdate(key, update.encryption_private_key, update.signature_private_key)
        for key, update in own_updates.items()
    )
    return {"updates": encode_with(kept_updates, kept)} if kept else {}


def load_own_updates(parts: Parts) -> dict[bytes, OwnUpdate]:
    kept = decode_all(kept_updates, parts.get("updates", b"\0"))
    return {
        update.encryption_key: OwnUpdate(update.encryption_private_key, update.signature_private_key) for update in kept
    }


def group_parts(group: "Membership") -> dict[str, bytes]:
    """All parts of a member's group."""
    private = tuple(KeptPrivateKey(node, key) for node, key in sorted(group.private.items()))
    epoch = EpochPart(group.own_leaf_index, int(group.removed), group.signature_private_key, private, group.secrets)
    parts = {**group.public.parts(), "epoch": epoch.encode(), **own_updates_part(group.own_updates)}
    parts.update(secret_tree_parts(group.epoch, group.secret_tree))
    parts.update(past_parts(group.past))
    parts.update(resumption_part(group.past_psks))
    parts.update(group.exporter_tree.part())
    if group.backlog is not None:
        parts["backlog"] = group.backlog.encode()
    return parts


class LoadedMember(NamedTuple):
    """What the parts of a member's group hold, ready to be a group again."""

    epoch: EpochPart
    private: dict[int, bytes]
    secret_tree: SecretTree
    past: Past
    own_updates: dict[bytes, OwnUpdate]
    backlog: Backlog | None
    past_psks: Mapping[int, bytes]
    exporter_tree: ExporterTree


def load_member(parts: Parts, public: PublicGroup) -> LoadedMember:
    """Read what only a member has. Raises `DecodeError`."""
    epoch = EpochPart.decode(part(parts, "epoch"))
    private = {kept.node: kept.key for kept in epoch.private}
    trees = load_secret_trees(parts)
    secret_tree, past = trees.pop(public.epoch, None), load_past(parts, trees)
    if secret_tree is None or secret_tree.leaves != public.tree.leaves:
        raise DecodeError(f"the state has no part secret-tree-{public.epoch} that fits its tree")
    if len(past) != len(trees):
        raise DecodeError("message keys of an epoch that is not kept")
    backlog = Backlog.decode(parts["backlog"]) if "backlog" in parts else None
    past_psks, exporter_tree = load_resumption(parts), ExporterTree.load(parts)
    return LoadedMember(epoch, private, secret_tree, past, load_own_updates(parts), backlog, past_psks, exporter_tree)


@struct
class KeptCommit(Struct):
    """A pending Commit and the group it leads to."""

    message: Annotated[bytes, opaque]
    welcome: Annotated[bytes | None, Optional(opaque)]
    group_info: Annotated[bytes, opaque]
    group: Annotated[bytes, opaque]
