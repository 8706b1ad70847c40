"""Groups that come from others: the old one, KeyPackages for the new one, and founders who don't keep to the rules."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from keys.mls import (
    Add,
    CipherSuite,
    Founder,
    Group,
    KeyPackage,
    KeyPackageSecrets,
    PendingCommit,
    PreSharedKey,
    PreSharedKeyID,
    PreSharedKeys,
    ReInit,
    ResumptionPsk,
)
from keys.mls.presharedkeys import look_up
from keys.mls.schedule import member_secret, new_epoch, psk_secret
from keys.mls.welcoming import JoinerSecrets, make_welcome, sign_group_info
from tests.keys.mls.people import DAY, NOW, Person, World, seeded

FOUNDER = Founder(NOW - DAY, NOW + 27 * DAY)
"""As everybody in these tests founds."""


@dataclass(frozen=True)
class Ready:
    """Somebody with a fresh KeyPackage for a new group."""

    person: Person
    package: KeyPackage
    secrets: KeyPackageSecrets

    def join(self, welcome: bytes, old: Group | None, tree: bytes, **others: Group) -> Group:
        """Join by this Welcome, holding the old group if there is one."""
        groups = {group.group_id: group for group in ([old] if old else []) + list(others.values())}
        return Group.join(
            welcome,
            self.package,
            self.secrets,
            self.person.signature_private_key,
            (old or next(iter(others.values()))).public.auth,
            ratchet_tree=tree,
            psks=PreSharedKeys(groups=groups),
        )


def ready(suite: CipherSuite, *numbers: int, seed: object = "new") -> list[Ready]:
    """Members of a `World` by their number, as they come to a new group in this suite."""
    found = []
    for number in numbers:
        person = Person.named(suite, f"member {number}".encode())
        found.append(Ready(person, *person.key_package(seed)))
    return found


def closed(here: World, reinit: ReInit, by: bytes = b"member 0") -> None:
    """The group is closed by a Commit of this ReInit."""
    here.accept(by, here[by].commit([reinit], random=here.random))


def identity_of(suite: CipherSuite, number: int) -> tuple[Any, bytes]:
    """Credential and key of a member in another suite."""
    person = Person.named(suite, f"member {number}".encode())
    return person.credential, person.signature_private_key


def founded_by_hand(
    old: Group,
    link: ResumptionPsk,
    others: Sequence[Ready],
    *,
    group_id: bytes,
    suite: CipherSuite,
    number: int = 0,
    extensions: tuple[Any, ...] = (),
    capabilities: Any = None,
) -> PendingCommit:
    """A new group whose founder ties it to the old one without looking whether it may."""
    credential, key = identity_of(suite, number)
    new = Group.create(
        suite,
        group_id,
        credential,
        key,
        old.public.auth,
        not_before=NOW - DAY,
        not_after=NOW + 27 * DAY,
        random=seeded(("by hand", group_id)),
        extensions=extensions,
        capabilities=capabilities,
    )
    psk = PreSharedKey(PreSharedKeyID(link, bytes(suite.hash_length)))
    return new.commit(
        [*(Add(one.package) for one in others), psk],
        random=seeded("by hand"),
        psks=PreSharedKeys(groups={old.group_id: old}),
    )


def welcome_with(
    group: Group, joiner: Ready, psks: Sequence[PreSharedKeyID], held: PreSharedKeys, **context: Any
) -> tuple[bytes, bytes]:
    """A Welcome by a member into its group as it stands, with any PSKs and any context; all its secrets are made up.

    Gives the tree beside it. The group was entered by an Add without path, so no path secret is due.
    """
    suite, joiner_secret = group.suite, bytes(group.suite.hash_length)
    context_of = replace(group.context, **context)
    member = member_secret(suite, joiner_secret, psk_secret(suite, look_up(psks, held)))
    epoch = new_epoch(suite, member, context_of)
    tag = suite.mac(epoch.confirmation_key, context_of.confirmed_transcript_hash)
    info = sign_group_info(suite, context_of, (), tag, group.own_leaf_index, group.signature_private_key)
    index = next(
        one.leaf_index for one in group.members if one.encryption_key == joiner.package.leaf_node.encryption_key
    )
    secrets = JoinerSecrets(joiner_secret, member, {}, tuple(psks))
    return make_welcome(suite, info, secrets, [(index, joiner.package)]), group.tree_bytes()
