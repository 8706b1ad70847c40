"""Joining by a Welcome, and GroupInfos (RFC 9420 sections 12.4.3, 12.4.3.1 and 12.4.3.3).

Member 1 adds the guest; it knows all that goes into a Welcome, so it can make any, sealed as it should be.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from keys.mls import (
    Add,
    BadSignature,
    BadTag,
    DecodeError,
    DecryptionFailed,
    Extension,
    Group,
    GroupInfo,
    InvalidCredential,
    InvalidGroupInfo,
    InvalidLeafNode,
    InvalidTree,
    MissingPreSharedKey,
    Misuse,
    MLSMessage,
    NotForUs,
    PreSharedKey,
    Welcome,
    cipher_suite,
    treemath,
)
from keys.mls.commits import MadeCommit
from keys.mls.public import read_group_info
from keys.mls.schedule import psk_secret
from keys.mls.tree import Tree
from keys.mls.welcoming import make_welcome
from tests.keys.mls.hostile.scene import GUEST, SUITE
from tests.keys.mls.hostile.table import Case, Row, judge, state_of, table
from tests.keys.mls.insider import info_for, info_with
from tests.keys.mls.people import DAY, NOW, Person, World, seeded

PACKAGE, SECRETS = GUEST.key_package()
OTHER, OTHER_SECRETS = GUEST.key_package("another")
PSKS = {b"id": b"words"}


class Invitation:
    """A Commit that adds the guest to a group of four, and what went into its Welcome."""

    def __init__(self, *, path: bool, psk: bool) -> None:
        self.world = World(SUITE, 4)
        self.world.auth.banned.add(b"banned")
        group = self.world[b"member 1"]
        proposals = [Add(PACKAGE), *([PreSharedKey.external(SUITE, b"id", seeded("psk"))] if psk else [])]
        self.made: MadeCommit = group.participant().commit(
            group._gather(proposals, ()),
            authenticated_data=b"",
            identity=None,
            psks=PSKS,
            path=path,
            now_seconds=None,
            random=self.world.random,
        )
        self.group = group.advanced(self.made.advance)
        self.message = group.tagged(self.made.signed)
        self.honest = self.forged(info=read_group_info(self.group.group_info()))

    def forged(self, tree: Tree | None = None, info: GroupInfo | None = None, **secrets: object) -> bytes:
        """A Welcome with other contents."""
        chosen = info or info_for(self.group, tree or self.group.tree)
        changed = self.made.joiner_secrets._replace(**secrets)  # type: ignore[arg-type]
        return make_welcome(SUITE, chosen, changed, self.made.joiners)

    def join(self, welcome: bytes, **given: Any) -> Callable[[], Group]:
        """The guest takes a Welcome."""
        key = given.pop("key", GUEST.signature_private_key)
        package, secrets = given.pop("package", PACKAGE), given.pop("secrets", SECRETS)
        given = {"ratchet_tree": self.group.tree_bytes(), "psks": PSKS, **given}
        return lambda: Group.join(welcome, package, secrets, key, self.world.auth, **given)


@cache
def invitation(path: bool = True, psk: bool = False) -> Invitation:
    return Invitation(path=path, psk=psk)


def welcome(
    make: Callable[[Invitation], bytes], *, path: bool = True, psk: bool = False, **given: Any
) -> Callable[[], Case]:
    """A Welcome that is not as it should be, or is taken with what does not belong to it."""

    def case() -> Case:
        here = invitation(path, psk)
        return Case([here.join(make(here), **given)], [here.join(here.honest)], state_of(here.group))

    return case


def honest(here: Invitation) -> bytes:
    return here.honest


def damaged(here: Invitation) -> bytes:
    message = MLSMessage.unwrap(here.honest)
    assert isinstance(message, Welcome)
    info = bytes([message.encrypted_group_info[0] ^ 1]) + message.encrypted_group_info[1:]
    return MLSMessage.wrap(replace(message, encrypted_group_info=info))


def info(beside: tuple[Extension, ...] = (), **context: Any) -> Callable[[Invitation], bytes]:
    """A GroupInfo signed anew inside."""
    return lambda here: here.forged(info=read_group_info(info_with(here.group, beside, **context)))


def unsigned(here: Invitation) -> bytes:
    return here.forged(info=replace(info_for(here.group, here.group.tree), signature=bytes(64)))


def by_signer(signer: int) -> Callable[[Invitation], bytes]:
    """The path secret goes with it to the node that such a signer would name."""

    def make(here: Invitation) -> bytes:
        secrets = dict(here.made.joiner_secrets.path_secrets)
        node = treemath.common_ancestor(2 * 4, 2 * signer)
        secrets.setdefault(node, bytes(32))
        return here.forged(info=info_for(here.group, here.group.tree, signer=signer), path_secrets=secrets)

    return make


def by_the_joiner(here: Invitation) -> bytes:
    """The guest itself vouches for the group."""
    own = replace(here.group, own_leaf_index=4, signature_private_key=GUEST.signature_private_key)
    return here.forged(info=info_for(own, here.group.tree), path_secrets={})


def with_another(here: Invitation) -> Tree:
    """The tree with somebody else in the guest's place."""
    edit = here.group.tree.edit()
    edit.set(8, Person.named(SUITE, b"other").key_package()[0].leaf_node)
    return edit.finish()


def in_another_tree() -> Case:
    here = invitation(False, False)
    tree = with_another(here)
    hostile = here.join(here.forged(tree, path_secrets={}), ratchet_tree=tree.encode())
    return Case([hostile], [here.join(here.honest)])


def of_another_suite() -> Case:
    foreign = Person.named(cipher_suite(3), b"guest")
    package, secrets = foreign.key_package()
    here = invitation()
    return Case(
        [here.join(here.honest, package=package, secrets=secrets, key=foreign.signature_private_key)],
        [here.join(here.honest)],
    )


def suite_said(here: Invitation) -> bytes:
    message = MLSMessage.unwrap(here.honest)
    assert isinstance(message, Welcome)
    return MLSMessage.wrap(replace(message, cipher_suite=3))


def twice(here: Invitation) -> bytes:
    one = here.made.joiner_secrets.psks[0]
    return here.forged(psks=(one, one))


def wrong_joiner_secret(here: Invitation) -> bytes:
    other = SUITE.extract(bytes(32), psk_secret(SUITE, ()))
    return here.forged(joiner_secret=bytes(32), member_secret=other)


FITS_NOT = "the Welcome's path secret does not fit node"


@table(
    Row(
        "12.4.3.1",
        "the Welcome is for this KeyPackage",
        welcome(honest, package=OTHER, secrets=OTHER_SECRETS),
        NotForUs,
        "no secrets for this KeyPackage",
    ),
    Row(
        "12.4.3.1",
        "the KeyPackage is of the Welcome's suite",
        of_another_suite,
        NotForUs,
        "a Welcome of another cipher suite",
    ),
    Row(
        "12.4.3.1",
        "the Welcome is of the KeyPackage's suite",
        welcome(suite_said),
        NotForUs,
        "a Welcome of another cipher suite",
    ),
    Row("12.4.3.1", "it is a Welcome", welcome(lambda here: here.message), DecodeError, "not a Welcome"),
    Row(
        "12.4.3.1",
        "the group secrets open with the init key",
        welcome(honest, secrets=replace(SECRETS, init_private_key=OTHER_SECRETS.init_private_key)),
        DecryptionFailed,
        "HPKE",
    ),
    Row(
        "12.4.3.1",
        "the GroupInfo is the one the group secrets were sealed with",
        welcome(damaged),
        DecryptionFailed,
        "HPKE",
    ),
    Row(
        "8.4",
        "the pre-shared keys are at hand",
        welcome(honest, psk=True, psks={}),
        MissingPreSharedKey,
        "pre-shared key",
    ),
    Row(
        "8.4",
        "the pre-shared keys are right",
        welcome(honest, psk=True, psks={b"id": b"x"}),
        DecryptionFailed,
        "does not open",
    ),
    Row(
        "12.2", "no pre-shared key stands twice", welcome(twice, psk=True), InvalidGroupInfo, "one pre-shared key twice"
    ),
    Row("12.4.3.1", "the GroupInfo is signed", welcome(unsigned), BadSignature, "GroupInfoTBS"),
    Row("12.4.3.1", "the GroupInfo is signed by whom it names", welcome(by_signer(2)), BadSignature, "GroupInfoTBS"),
    Row("12.4.3.1", "the signer is not blank", welcome(by_signer(5)), InvalidGroupInfo, "the signer is not a member"),
    Row(
        "12.4.3.1",
        "the signer is inside the tree",
        welcome(by_signer(99999), path=False),
        InvalidGroupInfo,
        "the signer is not a member",
    ),
    Row(
        "12.4.3.1",
        "the signer is not the joiner",
        welcome(by_the_joiner),
        InvalidGroupInfo,
        "our leaf is not in the tree as a joiner's",
    ),
    Row(
        "12.4.3.1",
        "the joiner's leaf is in the tree",
        in_another_tree,
        InvalidGroupInfo,
        "our leaf is not in the tree as a joiner's",
    ),
    Row(
        "12.4.3.1",
        "the GroupInfo's version is MLS 1.0",
        welcome(info(version=2)),
        InvalidGroupInfo,
        "another version or cipher suite",
    ),
    Row(
        "12.4.3.1",
        "the GroupInfo's suite is the KeyPackage's",
        welcome(info(cipher_suite=3)),
        InvalidGroupInfo,
        "another version or cipher suite",
    ),
    Row(
        "12.4.3.1",
        "the tree is the GroupInfo's",
        welcome(info(tree_hash=bytes(32))),
        InvalidGroupInfo,
        "the tree is not the one",
    ),
    Row("7.2", "the leaves are of this group", welcome(info(group_id=b"another")), BadSignature, "LeafNodeTBS"),
    Row(
        "13.4",
        "no extension of the group stands twice",
        welcome(info(extensions=(Extension(1, b""),) * 2)),
        InvalidLeafNode,
        "two extensions",
    ),
    Row(
        "13.4",
        "no extension of the GroupInfo stands twice",
        welcome(info((Extension(1, b""),) * 2)),
        InvalidLeafNode,
        "two extensions",
    ),
    Row(
        "13.4",
        "the joiner supports the group's extensions",
        welcome(info(extensions=(Extension(0xF0A9, b""),))),
        InvalidLeafNode,
        "does not list the group's extension 0xf0a9",
    ),
    Row(
        "12.4.3.1",
        "the path secret gives the parents' keys",
        welcome(lambda here: here.forged(path_secrets=dict.fromkeys(here.made.joiner_secrets.path_secrets, bytes(32)))),
        InvalidTree,
        "the path secret does not give the key of node",
    ),
    Row(
        "12.4.3.1",
        "a path secret comes where the joiner needs one",
        welcome(lambda here: here.forged(path_secrets={})),
        InvalidTree,
        FITS_NOT,
    ),
    Row(
        "12.4.3.1",
        "no path secret comes for a blank parent",
        welcome(lambda here: here.forged(path_secrets={7: bytes(32)}), path=False),
        InvalidTree,
        "a path secret for a blank node",
    ),
    Row(
        "12.4.3.1",
        "the confirmation tag fits the joiner secret",
        welcome(wrong_joiner_secret),
        BadTag,
        "the confirmation tag does not fit",
    ),
    Row(
        "12.4.3.1",
        "the confirmation tag fits the transcript",
        welcome(info(confirmed_transcript_hash=bytes(32))),
        BadTag,
        "the confirmation tag does not fit",
    ),
    Row(
        "12.4.3.1",
        "the confirmation tag fits the epoch",
        welcome(info(epoch=9)),
        BadTag,
        "the confirmation tag does not fit",
    ),
    Row(
        "7.3", "KeyPackages in the tree last", welcome(honest, now_seconds=NOW + 28 * DAY), InvalidLeafNode, "lifetime"
    ),
    Row("12.4.3.3", "there is a tree", welcome(honest, ratchet_tree=None), Misuse, "no ratchet tree inside"),
    Row(
        "ours",
        "the private encryption key is the KeyPackage's",
        welcome(honest, secrets=replace(SECRETS, encryption_private_key=OTHER_SECRETS.encryption_private_key)),
        Misuse,
        "not the private keys of the KeyPackage",
    ),
    Row(
        "ours",
        "the private signature key is the KeyPackage's",
        welcome(honest, key=bytes(32)),
        Misuse,
        "not the private keys of the KeyPackage",
    ),
)
def test_a_welcome(row: Row) -> None:
    judge(row)


def test_the_credential_of_every_member_is_asked_for() -> None:
    for name in (b"member 0", b"member 3", b"guest"):
        here = Invitation(path=True, psk=False)
        here.world.auth.banned.add(name)
        with pytest.raises(InvalidCredential, match="banned"):
            here.join(here.honest)()


def test_a_guest_joins_with_the_tree_inside_or_beside() -> None:
    here = invitation()
    authenticator = here.group.epoch_authenticator
    assert here.join(here.honest)().epoch_authenticator == authenticator
    inside = read_group_info(here.group.group_info(with_tree=True))
    joined = here.join(here.forged(info=inside), ratchet_tree=None)()
    assert joined.epoch_authenticator == authenticator


def test_a_group_info_may_hold_what_nobody_knows() -> None:
    """Section 12.4.3: unknown extensions beside the GroupContext are ignored."""
    here = invitation()
    beside = (Extension(0x0A0A, b"grease"), Extension(0xF0A9, b""))
    assert here.join(info(beside)(here))().epoch == 2


# A GroupInfo for those who follow the group


def published(make: Callable[[Group], bytes], **given: Any) -> Callable[[], Case]:
    """A GroupInfo of member 0 for the present epoch, as the Delivery Service checks it."""

    def case() -> Case:
        world = invitation().world
        group, public = world[b"member 0"], world.public
        hostile, fair = make(group), group.group_info()
        return Case(
            [lambda: public.check_group_info(hostile, **given)],
            [lambda: public.check_group_info(fair, signer=0)],
            state_of(public),
        )

    return case


def republished(**changes: Any) -> Callable[[Group], bytes]:
    return lambda group: MLSMessage.wrap(replace(read_group_info(group.group_info()), **changes))


def resaid(**context: Any) -> Callable[[Group], bytes]:
    return lambda group: info_with(group, **context)


def confirmed_otherwise(group: Group) -> bytes:
    honest = read_group_info(group.group_info())
    unsigned = replace(honest, confirmation_tag=bytes(32))
    signature = SUITE.sign_with_label(group.signature_private_key, b"GroupInfoTBS", unsigned.to_be_signed())
    return MLSMessage.wrap(replace(unsigned, signature=signature))


@table(
    Row(
        "12.4.3",
        "the group is this one",
        published(resaid(group_id=b"another")),
        InvalidGroupInfo,
        "of another group or epoch",
    ),
    Row("12.4.3", "the epoch is this one", published(resaid(epoch=9)), InvalidGroupInfo, "of another group or epoch"),
    Row(
        "12.4.3",
        "the confirmation tag is this epoch's",
        published(confirmed_otherwise),
        InvalidGroupInfo,
        "another confirmation tag",
    ),
    Row("12.4.3", "it is signed", published(republished(signature=bytes(64))), BadSignature, "GroupInfoTBS"),
    Row("12.4.3", "it is signed by whom it names", published(republished(signer=1)), BadSignature, "GroupInfoTBS"),
    Row(
        "12.4.3.1",
        "it is signed by a member",
        published(republished(signer=5)),
        InvalidGroupInfo,
        "the signer is not a member",
    ),
    Row(
        "13.4",
        "no extension stands twice",
        published(resaid(beside=(Extension(9, b""),) * 2)),
        InvalidLeafNode,
        "two extensions",
    ),
    Row(
        "ours",
        "it is signed by whom it should be",
        published(republished(), signer=1),
        InvalidGroupInfo,
        "a GroupInfo by leaf 0, not 1",
    ),
    Row(
        "12.4.3",
        "it is a GroupInfo",
        published(lambda group: group.commit(random=seeded(0)).message),
        DecodeError,
        "not a GroupInfo",
    ),
)
def test_a_group_info(row: Row) -> None:
    judge(row)
