"""Commits and their paths (RFC 9420 sections 7.4 to 7.6, 7.9.2, 12.4 and 12.4.2)."""

from collections.abc import Callable
from dataclasses import replace

from keys.mls import (
    Add,
    BadKey,
    BadTag,
    DecryptionFailed,
    GroupContextExtensions,
    InvalidCommit,
    MissingPreSharedKey,
    PreSharedKey,
    Proposal,
    Remove,
)
from keys.mls.messages import ExternalPsk, PreSharedKeyID, UpdatePath, UpdatePathNode
from keys.mls.nodes import FromCommit
from keys.mls.suites import HPKECiphertext
from tests.keys.mls.hostile.forging import Path, forge
from tests.keys.mls.hostile.scene import ASKED, CHARTER, HONEST, LOW, SUITE, commit, member, path, scene
from tests.keys.mls.hostile.table import Case, Row, heard, judge, table

Nodes = tuple[UpdatePathNode, ...]


def nodes(change: Callable[[UpdatePath], Nodes]) -> Callable[[], Case]:
    """Member 0 commits with a path whose nodes are not as they should be."""

    def changed(honest: UpdatePath) -> UpdatePath:
        return UpdatePath(honest.leaf_node, change(honest))

    return commit([], [], path=changed)


def rekeyed(key: Callable[[UpdatePath], bytes]) -> Callable[[], Case]:
    """The lowest parent of the path with another key."""
    return nodes(lambda path: (replace(path.nodes[0], encryption_key=key(path)), *path.nodes[1:]))


def with_a_joiners_key(path: UpdatePath) -> UpdatePath:
    key = HONEST.leaf_node.encryption_key
    return UpdatePath(path.leaf_node, (replace(path.nodes[0], encryption_key=key), *path.nodes[1:]))


def without_path(*proposals: Proposal) -> Callable[[], Case]:
    return commit(proposals, proposals, path=False)


def held(number: int) -> bytes:
    return member(number).own_leaf.encryption_key


TAKEN = "a key of the path stands in the tree already"
LENGTH = "path nodes for a filtered direct path of 2"
NEEDED = "a Commit without the path it needs"


@table(
    Row("7.6", "the path is not too short", nodes(lambda p: p.nodes[:-1]), InvalidCommit, f"1 {LENGTH}"),
    Row("7.6", "the path is not too long", nodes(lambda p: (*p.nodes, p.nodes[0])), InvalidCommit, f"3 {LENGTH}"),
    Row(
        "7.6",
        "nobody's path secret is missing",
        nodes(lambda p: (replace(p.nodes[0], encrypted_path_secret=()), *p.nodes[1:])),
        InvalidCommit,
        "0 secrets for 1 nodes",
    ),
    Row(
        "7.6",
        "no path secret is to spare",
        nodes(lambda p: (replace(p.nodes[0], encrypted_path_secret=p.nodes[1].encrypted_path_secret), *p.nodes[1:])),
        InvalidCommit,
        "2 secrets for 1 nodes",
    ),
    Row(
        "12.4.2",
        "no two nodes of the path have one key",
        rekeyed(lambda p: p.nodes[1].encryption_key),
        InvalidCommit,
        TAKEN,
    ),
    Row(
        "12.4.2",
        "no node of the path has the leaf's key",
        rekeyed(lambda p: p.leaf_node.encryption_key),
        InvalidCommit,
        TAKEN,
    ),
    Row("12.4.2", "no node of the path has a member's key", rekeyed(lambda p: held(3)), InvalidCommit, TAKEN),
    Row("12.4.2", "no node of the path has the committer's old key", rekeyed(lambda p: held(0)), InvalidCommit, TAKEN),
    Row(
        "12.4.2",
        "the path's leaf has no member's key",
        lambda: path({"encryption_key": held(3)})(),
        InvalidCommit,
        TAKEN,
    ),
    Row(
        "12.4.2",
        "no node of the path has a joiner's key",
        commit([Add(HONEST)], [Add(HONEST)], path=with_a_joiners_key),
        InvalidCommit,
        TAKEN,
    ),
    Row("5.1.1", "the path's keys are usable", rekeyed(lambda p: LOW), BadKey, "low order"),
    Row("5.1.1", "the path's keys are keys of the suite", rekeyed(lambda p: b"short"), BadKey, "of 5 bytes"),
    Row(
        "7.9.2",
        "the path's leaf vouches for its keys",
        rekeyed(lambda p: SUITE.derive_key_pair(b"mallory")[1]),
        InvalidCommit,
        "the path's leaf vouches for another path",
    ),
    Row(
        "7.9.2",
        "the path's leaf has the right parent hash",
        path({"leaf_node_source": FromCommit(bytes(32))}),
        InvalidCommit,
        "the path's leaf vouches for another path",
    ),
    Row("12.4", "an empty Commit has a path", without_path(), InvalidCommit, NEEDED),
    Row("12.4", "a Remove has a path", without_path(Remove(3)), InvalidCommit, NEEDED),
    Row(
        "12.4",
        "new extensions have a path",
        without_path(GroupContextExtensions((CHARTER, ASKED))),
        InvalidCommit,
        NEEDED,
    ),
    Row("12.4", "a Remove beside an Add has a path", without_path(Add(HONEST), Remove(3)), InvalidCommit, NEEDED),
)
def test_a_path(row: Row) -> None:
    judge(row)


def seen_by_members(hostile: bytes, honest: bytes, **how: object) -> Case:
    """What only members can judge: who follows the group without its secrets takes it."""
    scene().public.stage(hostile, None)
    return heard(member(1), None, hostile, honest, **how)  # type: ignore[arg-type]


def sealed(change: Path) -> Callable[[], Case]:
    return lambda: seen_by_members(forge(member(0), path=change), forge(member(0)))


def _lowest(*secrets: HPKECiphertext) -> Path:
    return lambda path: UpdatePath(
        path.leaf_node, (replace(path.nodes[0], encrypted_path_secret=secrets), *path.nodes[1:])
    )


def another_secret(path: UpdatePath) -> UpdatePath:
    """Member 1 is given a path secret that leads elsewhere, sealed as it should be."""
    after = scene().public.stage(forge(member(0)), None).next.context
    provisional = replace(after, confirmed_transcript_hash=scene().public.context.confirmed_transcript_hash)
    secret = SUITE.encrypt_with_label(held(1), b"UpdatePathNode", provisional.encode(), bytes(32))
    return _lowest(secret)(path)


def tagged(change: Callable[[bytes], bytes]) -> Callable[[], Case]:
    return lambda: seen_by_members(forge(member(0), tag=change), forge(member(0)))


def by_psk(proposals: list[PreSharedKey], psks: dict[bytes, bytes]) -> Callable[[], Case]:
    """Member 1 has the key `id`."""
    honest = [PreSharedKey(PreSharedKeyID(ExternalPsk(b"id"), bytes(32)))]

    def case() -> Case:
        good = forge(member(0), honest, psks={b"id": b"words"})
        return seen_by_members(forge(member(0), proposals, psks=psks), good, psks={b"id": b"words"})

    return case


CONFIRMATION = "the confirmation tag does not fit"


@table(
    Row("7.5", "the path secrets give the path's keys", sealed(another_secret), InvalidCommit, "does not give its key"),
    Row(
        "7.6",
        "the path secrets are sealed to the members' keys",
        sealed(lambda path: _lowest(path.nodes[1].encrypted_path_secret[0])(path)),
        DecryptionFailed,
        "HPKE",
    ),
    Row(
        "6.1", "the confirmation tag is right", tagged(lambda tag: bytes([tag[0] ^ 1]) + tag[1:]), BadTag, CONFIRMATION
    ),
    Row("6.1", "the confirmation tag is whole", tagged(lambda tag: tag[:16]), BadTag, CONFIRMATION),
    Row("6.1", "the confirmation tag is no longer", tagged(lambda tag: tag + b"\0"), BadTag, CONFIRMATION),
    Row(
        "8.4",
        "the pre-shared keys are at hand",
        by_psk([PreSharedKey(PreSharedKeyID(ExternalPsk(b"unknown"), bytes(32)))], {}),
        MissingPreSharedKey,
        "pre-shared key",
    ),
    Row(
        "8.4",
        "the pre-shared keys are the same for all",
        by_psk([PreSharedKey(PreSharedKeyID(ExternalPsk(b"id"), bytes(32)))], {b"id": b"other words"}),
        BadTag,
        CONFIRMATION,
    ),
)
def test_what_only_members_can_judge(row: Row) -> None:
    judge(row)
