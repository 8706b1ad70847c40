"""Founding a group from another (RFC 9420 sections 11.2 and 11.3); what ties the two is checked in `lineage.py`.

    pending = old.commit([ReInit(new_id, 1, 0xF001, ())], random=random)      # everybody follows: the group is shut
    old = old.merge(pending)
    founded = reinitialize(old, key_packages, Founder(...), random=random)    # any of them goes on, the others join:
    group = Group.join(founded.welcome, ..., psks=PreSharedKeys(groups={old.group_id: old}))

    founded = branch(old, new_id, key_packages, Founder(...), random=random)  # and here the old group lives on

Both give a `PendingCommit` whose group is the new one at epoch 1, taken as it is; its message is the founder's first
Commit, which nobody else needs. Who founds, where several could, is the Delivery Service's to settle. Drop a group that
was closed once its successor is joined: its resumption PSK is in there.

A Welcome to a branch should be opened before the old group has gone on for longer than it keeps past epochs: who was a
member in an epoch that is forgotten can't be told, and the branch is refused then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keys.mls import lineage
from keys.mls.errors import Misuse, Unsupported
from keys.mls.group import Group, PendingCommit
from keys.mls.hpke import Random
from keys.mls.messages import Add, KeyPackage, PreSharedKey, PreSharedKeyID, ResumptionPsk
from keys.mls.nodes import MLS10, Capabilities, Credential, Extension
from keys.mls.presharedkeys import BRANCH, REINIT, PreSharedKeys
from keys.mls.suites import SUITES, CipherSuite, SuiteTable, cipher_suite


@dataclass(frozen=True, slots=True)
class Founder:
    """What we bring to a new group."""

    not_before: int
    """First second that our leaf counts; `not_after` the last (section 7.2)."""
    not_after: int
    new_credential_and_signature_key: tuple[Credential, bytes] | None = None
    """None takes those that we have in the old group; another signature scheme needs others."""
    capabilities: Capabilities | None = None
    """None takes those of our leaf in the old group, with the new cipher suite."""
    leaf_extensions: tuple[Extension, ...] | None = None
    """None takes those of our leaf in the old group."""


def reinitialize(
    old: Group,
    key_packages: Sequence[KeyPackage],
    founder: Founder,
    *,
    random: Random,
    with_tree: bool = False,
    now_seconds: int | None = None,
    suites: SuiteTable = SUITES,
) -> PendingCommit:
    """Go on from a group that a ReInit closed, with a fresh KeyPackage of every other member (section 11.2).

    Raises `Misuse` if no ReInit was committed, `Unsupported` for a version or suite that we don't do,
    `InvalidGroupInfo` unless the members are those of the old group, and as `Group.commit` does.
    """
    reinit = old.public.reinit
    if reinit is None:
        raise Misuse("no ReInit closed this group (section 11.2)")
    if reinit.version != MLS10:
        raise Unsupported(f"a ReInit to version {reinit.version}")
    suite = cipher_suite(reinit.cipher_suite, suites)
    new = _create(old, suite, reinit.group_id, reinit.extensions, founder, random)
    return _tie(old, REINIT, new, key_packages, random, with_tree=with_tree, now_seconds=now_seconds)


def branch(
    old: Group,
    group_id: bytes,
    key_packages: Sequence[KeyPackage],
    founder: Founder,
    *,
    random: Random,
    extensions: tuple[Extension, ...] | None = None,
    with_tree: bool = False,
    now_seconds: int | None = None,
) -> PendingCommit:
    """Found a group with some members of this one, by a fresh KeyPackage of each (section 11.3).

    Without `extensions` the new group has those of the old. Raises `InvalidGroupInfo` if somebody is no member here,
    and as `Group.commit` does.
    """
    chosen = old.context.extensions if extensions is None else extensions
    new = _create(old, old.suite, group_id, chosen, founder, random)
    return _tie(old, BRANCH, new, key_packages, random, with_tree=with_tree, now_seconds=now_seconds)


def _create(
    old: Group,
    suite: CipherSuite,
    group_id: bytes,
    extensions: tuple[Extension, ...],
    founder: Founder,
    random: Random,
) -> Group:
    """The new group with us alone in it."""
    leaf = old.own_leaf
    credential, key = founder.new_credential_and_signature_key or (leaf.credential, old.signature_private_key)
    capabilities = founder.capabilities or leaf.capabilities
    if founder.capabilities is None and suite.id not in capabilities.cipher_suites:
        capabilities = replace(capabilities, cipher_suites=(*capabilities.cipher_suites, suite.id))
    return Group.create(
        suite,
        group_id,
        credential,
        key,
        old.public.auth,
        not_before=founder.not_before,
        not_after=founder.not_after,
        random=random,
        extensions=extensions,
        capabilities=capabilities,
        leaf_extensions=leaf.extensions if founder.leaf_extensions is None else founder.leaf_extensions,
        limits=old.limits,
    )


def _tie(
    old: Group,
    usage: int,
    new: Group,
    key_packages: Sequence[KeyPackage],
    random: Random,
    *,
    with_tree: bool,
    now_seconds: int | None,
) -> PendingCommit:
    """The first Commit of the new group: everybody in, and the old group's resumption PSK."""
    groups = {old.group_id: old}
    lineage.check_new(new.public, groups)
    link = ResumptionPsk(usage, old.group_id, old.epoch)
    psk = PreSharedKey(PreSharedKeyID(link, random(new.suite.hash_length)))
    pending = new.commit(
        [*(Add(package) for package in key_packages), psk],
        random=random,
        psks=PreSharedKeys(groups=groups),
        with_tree=with_tree,
        now_seconds=now_seconds,
    )
    lineage.check_link(pending.group.public, link, groups)
    return pending
