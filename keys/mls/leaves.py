"""Leaf nodes: making one, and which may stand in a group (RFC 9420 sections 5.3.1, 7.2, 7.3 and 13.4).

`verify_leaf` looks at a leaf alone, `fits_group` at the leaf under the group's extensions, `verify_members` at all
leaves of a tree side by side. Whether a credential is who it says, only the Authentication Service knows.
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol

from keys.mls.errors import InvalidLeafNode
from keys.mls.grease import genuine, greased
from keys.mls.hpke import Random
from keys.mls.nodes import (
    DEFAULT_EXTENSIONS,
    DEFAULT_PROPOSALS,
    MLS10,
    REQUIRED_CAPABILITIES,
    Capabilities,
    Credential,
    Extension,
    FromCommit,
    FromUpdate,
    LeafNode,
    Lifetime,
    RequiredCapabilities,
    Source,
    find_extension,
)
from keys.mls.suites import CipherSuite
from keys.mls.tree import Tree

MAX_LIFETIME: Final = 92 * 86400 + 3600
"""Longest lifetime of a KeyPackage in seconds (section 7.2 asks the application for one): a quarter and an hour."""


class AuthenticationService(Protocol):
    """Who says whether a credential is what it claims (RFC 9750 section 4, RFC 9420 section 5.3.1)."""

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        """Return if the credential holds and speaks for this key; else raise `InvalidCredential`."""
        ...

    def is_successor(self, old: Credential, new: Credential) -> bool:
        """Whether `new` may stand where `old` stood: the same client, by the application's measure."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A member as others see it."""

    leaf_index: int
    credential: Credential
    signature_key: bytes
    encryption_key: bytes

    @classmethod
    def of(cls, leaf_index: int, leaf: LeafNode) -> "Member":
        return cls(leaf_index, leaf.credential, leaf.signature_key, leaf.encryption_key)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a leaf stands or is meant to; signatures of leaves made in a group cover it (section 7.2)."""

    group_id: bytes
    leaf_index: int


NOWHERE: Final = Place(b"", 0)


def new_capabilities(
    suite: CipherSuite,
    credential: Credential,
    extension_types: tuple[int, ...] = (),
    proposal_types: tuple[int, ...] = (),
    *,
    grease: Random | None = None,
) -> Capabilities:
    """The least that a leaf has to list: this suite, its credential's type, and the extensions and proposals in play.

    With `grease` there are some values more that mean nothing (section 13.5).
    """
    listed = tuple(sorted(set(extension_types) - DEFAULT_EXTENSIONS))
    proposals = tuple(sorted(set(proposal_types) - DEFAULT_PROPOSALS))
    least = Capabilities((MLS10,), (suite.id,), listed, proposals, (credential.credential_type,))
    return greased(least, grease) if grease else least


def sign_leaf(suite: CipherSuite, unsigned: LeafNode, private_key: bytes, place: Place) -> LeafNode:
    """The leaf with its signature for this place (LeafNodeTBS)."""
    tbs = unsigned.to_be_signed(place.group_id, place.leaf_index)
    return replace(unsigned, signature=suite.sign_with_label(private_key, b"LeafNodeTBS", tbs))


def renewed(
    suite: CipherSuite,
    old: LeafNode,
    encryption_key: bytes,
    source: Source,
    place: Place,
    credential: Credential,
    signature_private_key: bytes,
) -> LeafNode:
    """A leaf that takes the place of `old` with a fresh key, signed (sections 7.5 and 12.1.2)."""
    unsigned = LeafNode(
        encryption_key,
        suite.signature_public_key(signature_private_key),
        credential,
        old.capabilities,
        source,
        old.extensions,
        b"",
    )
    return sign_leaf(suite, unsigned, signature_private_key, place)


def reshaped(
    old: LeafNode, capabilities: Capabilities | None, leaf_extensions: tuple[Extension, ...] | None
) -> LeafNode:
    """The leaf with other capabilities or extensions where they are given; its signature no longer holds."""
    return replace(
        old,
        capabilities=old.capabilities if capabilities is None else capabilities,
        extensions=old.extensions if leaf_extensions is None else leaf_extensions,
    )


def check_extensions(among: tuple[Extension, ...]) -> None:
    """No two of one type (section 13.4)."""
    types = [extension.extension_type for extension in among]
    if len(set(types)) != len(types):
        raise InvalidLeafNode("two extensions of one type (section 13.4)")


def check_lifetime(lifetime: Lifetime, now_seconds: int) -> None:
    """Raise `InvalidLeafNode` unless now lies within a lifetime of bearable length (section 7.3)."""
    if not lifetime.not_before <= now_seconds <= lifetime.not_after:
        raise InvalidLeafNode(
            f"lifetime {lifetime.not_before} to {lifetime.not_after}, now {now_seconds} (section 7.3)"
        )
    if lifetime.not_after - lifetime.not_before > MAX_LIFETIME:
        raise InvalidLeafNode(f"a lifetime over {MAX_LIFETIME} seconds (section 7.2)")


def verify_leaf(suite: CipherSuite, leaf: LeafNode, place: Place, now_seconds: int | None) -> None:
    """What holds of a leaf by itself (sections 7.2 and 7.3), but for its credential.

    Whether it lists the group's cipher suite is not asked: section 7.3 does not, section 10.1 asks it of the
    KeyPackage's own field, and there are implementations that leave suite 7 out of every list.

    The lifetime counts only where a time is given. Raises `InvalidLeafNode`, `BadKey`, `BadSignature`.
    """
    capabilities = leaf.capabilities
    if MLS10 not in capabilities.versions:
        raise InvalidLeafNode("the leaf does not list this version (section 7.2)")
    if leaf.credential.credential_type not in capabilities.credentials:
        raise InvalidLeafNode("the leaf does not list its own credential type (section 7.2)")
    check_extensions(leaf.extensions)
    for extension in leaf.extensions:
        kind = extension.extension_type
        if kind not in DEFAULT_EXTENSIONS and kind not in capabilities.extensions:
            raise InvalidLeafNode(f"the leaf does not list its own extension {kind:#06x} (section 7.3)")
    if now_seconds is not None and isinstance(leaf.leaf_node_source, Lifetime):
        check_lifetime(leaf.leaf_node_source, now_seconds)
    suite.hpke.kem.check_public(leaf.encryption_key)
    leaf.verify_signature(suite, place.group_id, place.leaf_index)


def verify_replacement(
    suite: CipherSuite,
    old: LeafNode,
    new: LeafNode,
    place: Place,
    source: type[FromUpdate] | type[FromCommit],
    auth: AuthenticationService,
) -> None:
    """A leaf that takes a member's place in an Update or a Commit (sections 5.3.1 and 7.3)."""
    _verify_source(new, source)
    _verify_fresh(old, new)
    verify_leaf(suite, new, place, None)
    if (new.credential, new.signature_key) != (old.credential, old.signature_key):
        auth.validate(new.credential, new.signature_key)
    _verify_successor(old, new, auth)


def verify_joiner(
    suite: CipherSuite, old: LeafNode | None, new: LeafNode, place: Place, auth: AuthenticationService
) -> None:
    """The leaf of an external commit; `old` is the joiner's prior appearance, if the Commit removes it (section 12.2).

    Its credential is validated even where it did not change: the joiner is new to this group (section 5.3.1).
    """
    _verify_source(new, FromCommit)
    verify_leaf(suite, new, place, None)
    auth.validate(new.credential, new.signature_key)
    if old is not None:
        _verify_fresh(old, new)
        _verify_successor(old, new, auth)


def _verify_source(leaf: LeafNode, source: type[FromUpdate] | type[FromCommit]) -> None:
    if not isinstance(leaf.leaf_node_source, source):
        raise InvalidLeafNode("the leaf comes from the wrong source (section 7.3)")


def _verify_fresh(old: LeafNode, new: LeafNode) -> None:
    if new.encryption_key == old.encryption_key:
        raise InvalidLeafNode("the leaf keeps its encryption key (sections 7.3 and 12.4.2)")


def _verify_successor(old: LeafNode, new: LeafNode, auth: AuthenticationService) -> None:
    if not auth.is_successor(old.credential, new.credential):
        raise InvalidLeafNode("the new credential is no successor of the old (section 5.3.1)")


def required_capabilities(extensions: tuple[Extension, ...]) -> RequiredCapabilities | None:
    """What the group asks of everybody (section 11.1); raises `DecodeError`."""
    data = find_extension(extensions, REQUIRED_CAPABILITIES)
    return None if data is None else RequiredCapabilities.decode(data)


def fits_group(leaf: LeafNode, extensions: tuple[Extension, ...]) -> None:
    """Raise `InvalidLeafNode` unless the leaf can do all that the group has and asks for (sections 7.3, 13.4)."""
    for extension in extensions:
        kind = extension.extension_type
        if kind not in DEFAULT_EXTENSIONS and kind not in leaf.capabilities.extensions:
            raise InvalidLeafNode(f"the leaf does not list the group's extension {kind:#06x} (section 13.4)")
    required = required_capabilities(extensions)
    if required is not None and (lacking := leaf.capabilities.lacks(required)):
        raise InvalidLeafNode(f"the leaf lacks a required capability: {lacking} (section 11.1)")


def fits_us(own: LeafNode, extensions: tuple[Extension, ...]) -> None:
    """The same for our own leaf, which may list GREASE that we can't do (section 13.5)."""
    fits_group(replace(own, capabilities=genuine(own.capabilities)), extensions)


def verify_members(tree: Tree) -> None:
    """Keys are nobody else's, and everybody can read everybody's credential (section 7.3)."""
    leaves = [leaf for _, leaf in tree.members()]
    if len({leaf.signature_key for leaf in leaves}) != len(leaves):
        raise InvalidLeafNode("two members have one signature key (section 7.3)")
    keys = [node.encryption_key for node in tree.nodes if node is not None]
    if len(set(keys)) != len(keys):
        raise InvalidLeafNode("an encryption key stands twice in the tree (section 7.3)")
    for used in {leaf.credential.credential_type for leaf in leaves}:
        if not all(used in leaf.capabilities.credentials for leaf in leaves):
            raise InvalidLeafNode(f"credential type {used} is not supported by all members (section 7.3)")
