"""Leaf nodes (RFC 9420 sections 5.3.1, 7.2, 7.3, 11.1 and 13.4): each rule, wherever a leaf can come in.

A leaf comes in by an Add, an Update, the path of a Commit, an external commit, and in the tree of a group that is
joined. What holds of a leaf by itself is judged at once; what holds of it among the others, once it is among them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from keys.mls import (
    Add,
    BadKey,
    BadSignature,
    Credential,
    Extension,
    InvalidCredential,
    InvalidKeyPackage,
    InvalidLeafNode,
    InvalidTree,
    LeafNode,
    MLSError,
    PublicGroup,
    Update,
)
from keys.mls.leaves import NOWHERE, Place, sign_leaf
from keys.mls.messages import UpdatePath
from keys.mls.nodes import FromCommit, FromUpdate
from tests.keys.mls.hostile.scene import (
    ABLE,
    GUEST,
    HONEST,
    LOW,
    STOLEN,
    STOLEN_PUBLIC,
    SUITE,
    TWIN,
    X509,
    add,
    commit,
    guest,
    member,
    path,
    propose,
    scene,
    update,
    update_committed,
    updated,
)
from tests.keys.mls.hostile.table import Case, Row, judge, state_of, table
from tests.keys.mls.insider import info_for, lifetime
from tests.keys.mls.people import DAY, NOW

FOREIGN = Extension(0xF0A9, b"")
OTHER_KEY = TWIN.signature_private_key


def in_tree(changes: Mapping[str, Any], *, key: bytes | None = None) -> Callable[[], Case]:
    """The guest's leaf in the tree of a GroupInfo that member 0 signed."""

    def step(leaf_changes: Mapping[str, Any], private: bytes) -> Callable[[], object]:
        edit = scene().public.tree.edit()
        leaf = replace(HONEST.leaf_node, **leaf_changes)
        edit.add_leaf(sign_leaf(SUITE, leaf, private, NOWHERE))
        tree = edit.finish()
        info = info_for(member(0), tree)
        return lambda: PublicGroup.from_info(SUITE, info, tree.encode(), scene().auth, NOW)

    owner = GUEST.signature_private_key
    return lambda: Case([step(changes, key or owner)], [step({}, owner)], state_of(scene().public))


Change = Mapping[str, Any]

ALONE: tuple[tuple[str, str, Change, type[MLSError], str], ...] = (
    (
        "7.2",
        "the protocol version is listed",
        {"capabilities": replace(ABLE, versions=(2,))},
        InvalidLeafNode,
        "does not list this version",
    ),
    (
        "7.2",
        "the leaf's own credential type is listed",
        {"capabilities": replace(ABLE, credentials=(2, 3))},
        InvalidLeafNode,
        "does not list its own credential type",
    ),
    (
        "7.3",
        "the leaf's own extensions are listed",
        {"extensions": (FOREIGN,)},
        InvalidLeafNode,
        "does not list its own extension 0xf0a9",
    ),
    (
        "13.4",
        "no extension stands in the leaf twice",
        {"extensions": (Extension(1, b"x"), Extension(1, b"x"))},
        InvalidLeafNode,
        "two extensions of one type",
    ),
    ("5.1.1", "the encryption key is a key of the suite", {"encryption_key": b"short"}, BadKey, "of 5 bytes"),
    ("5.1.1", "the encryption key is usable", {"encryption_key": LOW}, BadKey, "low order"),
)
"""What holds of a leaf by itself."""

AMONG: tuple[tuple[str, str, Change, type[MLSError], str], ...] = (
    (
        "13.4",
        "the group's extensions are listed",
        {"capabilities": replace(ABLE, extensions=(0xF0A1,))},
        InvalidLeafNode,
        "does not list the group's extension 0xf0a0",
    ),
    (
        "11.1",
        "a required extension is listed",
        {"capabilities": replace(ABLE, extensions=(0xF0A0,))},
        InvalidLeafNode,
        "lacks a required capability: extension 0xf0a1",
    ),
    (
        "11.1",
        "a required proposal is listed",
        {"capabilities": replace(ABLE, proposals=())},
        InvalidLeafNode,
        "lacks a required capability: proposal 0xf0a2",
    ),
    (
        "11.1",
        "a required credential type is listed",
        {"capabilities": replace(ABLE, credentials=(1,))},
        InvalidLeafNode,
        "lacks a required capability: credential 0x0003",
    ),
)
"""What holds of a leaf in its group."""

CROWDED: tuple[tuple[str, str, Change, type[MLSError], str], ...] = (
    (
        "7.3",
        "every member can read the credential's type",
        {"credential": X509, "capabilities": replace(ABLE, credentials=(1, 2, 3))},
        InvalidLeafNode,
        "credential type 2",
    ),
    (
        "7.3",
        "the types of all members' credentials can be read",
        {"credential": X509, "capabilities": replace(ABLE, credentials=(2, 3))},
        InvalidLeafNode,
        "credential type",
    ),
)
"""What holds of a leaf beside the others'; for a member's own leaf `is_successor` would object first."""


def rows(carrier: str, build: Callable[..., Callable[[], Case]], *rules: Any) -> list[Row]:
    return [
        Row(clause, f"[{carrier}] {rule}", build(change), error, text)
        for listed in rules
        for clause, rule, change, error, text in listed
    ]


def _held(number: int, what: str) -> Any:
    """A field of a member's leaf."""
    return getattr(member(number).own_leaf, what)


VOUCHED = "the Authentication Service vouches for the credential"
SIGNED = "the leaf is signed by its own key"
NO_OTHERS_SIGNATURE = "two members have one signature key"


@table(
    rows("Add", add, ALONE, AMONG, CROWDED),
    Row("5.3.1", f"[Add] {VOUCHED}", add({"credential": Credential.basic(b"banned")}), InvalidCredential, "banned"),
    Row(
        "7.3",
        f"[Add] {SIGNED}",
        commit(lambda: [Add(guest(leaf_node=replace(HONEST.leaf_node, signature=bytes(64))))], [Add(HONEST)]),
        BadSignature,
        "LeafNodeTBS",
    ),
    Row(
        "10",
        "[Add] the leaf was not made for an Update",
        add({"leaf_node_source": FromUpdate()}),
        InvalidKeyPackage,
        "its leaf was not made for a KeyPackage",
    ),
    Row(
        "10",
        "[Add] the leaf was not made for a Commit",
        add({"leaf_node_source": FromCommit(b"")}),
        InvalidKeyPackage,
        "its leaf was not made for a KeyPackage",
    ),
    Row("7.3", "[Add] the lifetime has begun", add({"leaf_node_source": lifetime(1, 9)}), InvalidLeafNode, "lifetime"),
    Row("7.3", "[Add] the lifetime lasts", add({"leaf_node_source": lifetime(-9, -1)}), InvalidLeafNode, "lifetime"),
    Row(
        "7.2",
        "[Add] the lifetime is of bearable length",
        add({"leaf_node_source": lifetime(-DAY, 92 * DAY)}),
        InvalidLeafNode,
        "a lifetime over",
    ),
    Row(
        "7.3",
        "[Add] the signature key is no member's",
        commit(lambda: [Add(guest(scene().people[2]))], [Add(HONEST)]),
        InvalidLeafNode,
        NO_OTHERS_SIGNATURE,
    ),
    Row(
        "7.3",
        "[Add] the encryption key is no member's",
        commit(lambda: [Add(guest(leaf={"encryption_key": _held(2, "encryption_key")}))], [Add(HONEST)]),
        InvalidLeafNode,
        "an encryption key stands twice in the tree",
    ),
    Row(
        "7.3",
        "[Add] the encryption key is not that of another Add",
        commit(
            lambda: [Add(HONEST), Add(guest(TWIN, leaf={"encryption_key": HONEST.leaf_node.encryption_key}))],
            lambda: [Add(HONEST), Add(guest(TWIN))],
        ),
        InvalidLeafNode,
        "an encryption key stands twice in the tree",
    ),
)
def test_a_leaf_in_an_add(row: Row) -> None:
    judge(row)


@table(
    rows("Update", update, ALONE),
    rows("Update", update_committed, AMONG),
    Row(
        "5.3.1",
        f"[Update] {VOUCHED}",
        update({"credential": Credential.basic(b"member 2/banned")}),
        InvalidCredential,
        "banned",
    ),
    Row(
        "5.3.1",
        f"[Update] {VOUCHED} with a new key",
        update({"signature_key": STOLEN_PUBLIC}, key=STOLEN),
        InvalidCredential,
        "banned",
    ),
    Row(
        "5.3.1",
        "[Update] the credential is the same client's",
        update({"credential": Credential.basic(b"member 3")}),
        InvalidLeafNode,
        "is no successor of the old",
    ),
    Row("7.3", f"[Update] {SIGNED}", update({}, key=OTHER_KEY), BadSignature, "LeafNodeTBS"),
    Row(
        "7.3",
        "[Update] the leaf was not made for a KeyPackage",
        update({"leaf_node_source": lifetime(-1, 1)}),
        InvalidLeafNode,
        "comes from the wrong source",
    ),
    Row(
        "7.3",
        "[Update] the leaf was not made for a Commit",
        update({"leaf_node_source": FromCommit(b"")}),
        InvalidLeafNode,
        "comes from the wrong source",
    ),
    Row(
        "7.3",
        "[Update] the encryption key is a new one",
        lambda: update({"encryption_key": _held(2, "encryption_key")})(),
        InvalidLeafNode,
        "the leaf keeps its encryption key",
    ),
    Row(
        "7.2",
        "[Update] the leaf is signed for this group",
        lambda: propose(Update(moved(group_id=b"another")), Update(updated(2, {}))),
        BadSignature,
        "LeafNodeTBS",
    ),
    Row(
        "7.2",
        "[Update] the leaf is signed for this place",
        lambda: propose(Update(moved(leaf_index=3)), Update(updated(2, {}))),
        BadSignature,
        "LeafNodeTBS",
    ),
    Row(
        "7.3",
        "[Update] the signature key is no other member's",
        lambda: update_committed({"signature_key": _held(3, "signature_key")}, key=member(3).signature_private_key)(),
        InvalidLeafNode,
        NO_OTHERS_SIGNATURE,
    ),
    Row(
        "7.3",
        "[Update] the encryption key is no other member's",
        lambda: update_committed({"encryption_key": _held(3, "encryption_key")})(),
        InvalidLeafNode,
        "an encryption key stands twice in the tree",
    ),
)
def test_a_leaf_in_an_update(row: Row) -> None:
    judge(row)


def moved(**place: Any) -> LeafNode:
    """Member 2's leaf for an Update, signed for another place."""
    there = replace(Place(member(2).group_id, 2), **place)
    return sign_leaf(SUITE, updated(2, {}), member(2).signature_private_key, there)


def elsewhere(leaf: LeafNode) -> LeafNode:
    """Member 0's leaf, signed for another place."""
    return sign_leaf(SUITE, leaf, member(0).signature_private_key, Place(member(0).group_id, 2))


@table(
    rows("Commit", path, ALONE, AMONG),
    Row(
        "5.3.1",
        f"[Commit] {VOUCHED}",
        path({"credential": Credential.basic(b"member 0/banned")}),
        InvalidCredential,
        "banned",
    ),
    Row(
        "5.3.1",
        f"[Commit] {VOUCHED} with a new key",
        path({"signature_key": STOLEN_PUBLIC}, key=STOLEN),
        InvalidCredential,
        "banned",
    ),
    Row(
        "5.3.1",
        "[Commit] the credential is the same client's",
        path({"credential": Credential.basic(b"member 3")}),
        InvalidLeafNode,
        "is no successor of the old",
    ),
    Row("7.3", f"[Commit] {SIGNED}", path({}, key=OTHER_KEY), BadSignature, "LeafNodeTBS"),
    Row(
        "7.3",
        "[Commit] the leaf was not made for a KeyPackage",
        path({"leaf_node_source": lifetime(-1, 1)}),
        InvalidLeafNode,
        "comes from the wrong source",
    ),
    Row(
        "7.3",
        "[Commit] the leaf was not made for an Update",
        path({"leaf_node_source": FromUpdate()}),
        InvalidLeafNode,
        "comes from the wrong source",
    ),
    Row(
        "7.2",
        "[Commit] the leaf is signed for this place",
        commit([], [], path=lambda honest: UpdatePath(elsewhere(honest.leaf_node), honest.nodes)),
        BadSignature,
        "LeafNodeTBS",
    ),
    Row(
        "12.4.2",
        "[Commit] the encryption key is a new one",
        lambda: path({"encryption_key": _held(0, "encryption_key")})(),
        InvalidLeafNode,
        "the leaf keeps its encryption key",
    ),
    Row(
        "7.3",
        "[Commit] the signature key is no other member's",
        lambda: path({"signature_key": _held(3, "signature_key")}, key=member(3).signature_private_key)(),
        InvalidLeafNode,
        NO_OTHERS_SIGNATURE,
    ),
)
def test_a_leaf_in_a_path(row: Row) -> None:
    judge(row)


@table(
    rows("tree", in_tree, ALONE, AMONG, CROWDED),
    Row(
        "5.3.1", f"[tree] {VOUCHED}", in_tree({"credential": Credential.basic(b"banned")}), InvalidCredential, "banned"
    ),
    Row("7.3", f"[tree] {SIGNED}", in_tree({}, key=OTHER_KEY), BadSignature, "LeafNodeTBS"),
    Row(
        "7.3",
        "[tree] the lifetime has begun",
        in_tree({"leaf_node_source": lifetime(1, 9)}),
        InvalidLeafNode,
        "lifetime",
    ),
    Row(
        "7.3", "[tree] the lifetime lasts", in_tree({"leaf_node_source": lifetime(-9, -1)}), InvalidLeafNode, "lifetime"
    ),
    Row(
        "7.2",
        "[tree] the lifetime is of bearable length",
        in_tree({"leaf_node_source": lifetime(-DAY, 92 * DAY)}),
        InvalidLeafNode,
        "a lifetime over",
    ),
    Row(
        "7.3",
        "[tree] the signature key is no other member's",
        lambda: in_tree({"signature_key": _held(2, "signature_key")}, key=member(2).signature_private_key)(),
        InvalidLeafNode,
        NO_OTHERS_SIGNATURE,
    ),
    Row(
        "7.3",
        "[tree] the encryption key is no other member's",
        lambda: in_tree({"encryption_key": _held(2, "encryption_key")})(),
        InvalidTree,
        "an encryption key stands twice in the tree",
    ),
)
def test_a_leaf_in_a_tree(row: Row) -> None:
    judge(row)
