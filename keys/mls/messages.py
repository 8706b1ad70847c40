"""Proposals, commits and what brings new members in (RFC 9420 sections 8.1, 8.4, 10, 12): the formats, as sent."""

from typing import Annotated, ClassVar, Final, Self

from keys.mls.codec import (
    Optional,
    Struct,
    Tagged,
    Vector,
    opaque,
    struct,
    uint8,
    uint16,
    uint32,
    uint64,
    vector_bytes,
)
from keys.mls.components import marks_last_resort
from keys.mls.errors import InvalidKeyPackage
from keys.mls.hpke import Random
from keys.mls.leaves import NOWHERE, AuthenticationService, check_extensions, verify_leaf
from keys.mls.nodes import MLS10, Extension, LeafNode, Lifetime, extensions, find_extension
from keys.mls.suites import CipherSuite, HPKECiphertext
from keys.mls.treemath import MAX_DEPTH, MAX_LEAVES


@struct(cached=True)
class GroupContext(Struct):
    """What every member agrees on in one epoch (section 8.1)."""

    version: Annotated[int, uint16]
    cipher_suite: Annotated[int, uint16]
    group_id: Annotated[bytes, opaque]
    epoch: Annotated[int, uint64]
    tree_hash: Annotated[bytes, opaque]
    confirmed_transcript_hash: Annotated[bytes, opaque]
    extensions: Annotated[tuple[Extension, ...], extensions]

    def extension(self, extension_type: int) -> bytes | None:
        """The data of the group's extension of this type, if it has one."""
        return find_extension(self.extensions, extension_type)


@struct(cached=True)
class KeyPackage(Struct):
    """What a client leaves behind so that others can add it (section 10)."""

    version: Annotated[int, uint16]
    cipher_suite: Annotated[int, uint16]
    init_key: Annotated[bytes, opaque]
    leaf_node: LeafNode
    extensions: Annotated[tuple[Extension, ...], extensions]
    signature: Annotated[bytes, opaque]

    @property
    def last_resort(self) -> bool:
        """Whether it may be handed out more than once (section 16.8), by either mark that is in use."""
        return marks_last_resort(self.extensions)

    def ref(self, suite: CipherSuite) -> bytes:
        """KeyPackageRef (section 5.2)."""
        return suite.ref_hash(b"MLS 1.0 KeyPackage Reference", self.encode())

    @property
    def lifetime(self) -> Lifetime | None:
        """When it counts; None if the leaf was not made for a KeyPackage, which `verify` refuses."""
        source = self.leaf_node.leaf_node_source
        return source if isinstance(source, Lifetime) else None

    def to_be_signed(self) -> bytes:
        """KeyPackageTBS."""
        encoding = self.encode()
        return encoding[: len(encoding) - len(vector_bytes(self.signature))]

    def verify(self, suite: CipherSuite, auth: AuthenticationService, now_seconds: int | None) -> None:
        """Check all of section 10.1; without a time the lifetime is left out.

        That its extensions stand in its leaf's capabilities (section 10) is for its maker to see: whoever receives it
        ignores those that it does not know (section 13.5).

        Raises `InvalidKeyPackage`, `InvalidLeafNode`, `InvalidCredential`, `BadKey`, `BadSignature`.
        """
        if self.version != MLS10 or self.cipher_suite != suite.id:
            raise InvalidKeyPackage("another version or cipher suite (section 10.1)")
        if self.lifetime is None:
            raise InvalidKeyPackage("its leaf was not made for a KeyPackage (section 10)")
        if self.init_key == self.leaf_node.encryption_key:
            raise InvalidKeyPackage("init key and encryption key are one (section 10.1)")
        check_extensions(self.extensions)
        suite.hpke.kem.check_public(self.init_key)
        verify_leaf(suite, self.leaf_node, NOWHERE, now_seconds)
        signed = self.to_be_signed()
        suite.verify_with_label(self.leaf_node.signature_key, b"KeyPackageTBS", signed, self.signature)
        auth.validate(self.leaf_node.credential, self.leaf_node.signature_key)


# Pre-shared keys (section 8.4)


@struct
class ExternalPsk(Struct):
    """A key that the application brings."""

    psk_id: Annotated[bytes, opaque]


@struct
class ResumptionPsk(Struct):
    """A key from an epoch of a group; usage is application (1), reinit (2) or branch (3)."""

    usage: Annotated[int, uint8]
    psk_group_id: Annotated[bytes, opaque]
    psk_epoch: Annotated[int, uint64]


@struct
class ApplicationPsk(Struct):
    """A key that a component of the application brings (draft-ietf-mls-extensions-09 section 4.5)."""

    component_id: Annotated[int, uint16]
    psk_id: Annotated[bytes, opaque]


Psk = ExternalPsk | ResumptionPsk | ApplicationPsk


@struct
class PreSharedKeyID(Struct):
    """Which pre-shared key, and a nonce that makes each use differ."""

    psk: Annotated[Psk, Tagged(uint8, {1: ExternalPsk, 2: ResumptionPsk, 3: ApplicationPsk})]
    psk_nonce: Annotated[bytes, opaque]


# Proposals (section 12.1)


@struct
class Add(Struct):
    """Bring a client in."""

    key_package: KeyPackage
    TYPE: ClassVar[int] = 1


@struct
class Update(Struct):
    """Replace the sender's leaf; `Group.propose_update` makes it."""

    leaf_node: LeafNode
    TYPE: ClassVar[int] = 2


@struct
class Remove(Struct):
    """Take the member at this leaf index out."""

    removed: Annotated[int, uint32]
    TYPE: ClassVar[int] = 3


@struct
class PreSharedKey(Struct):
    """Mix a pre-shared key into the next epoch."""

    psk: PreSharedKeyID
    TYPE: ClassVar[int] = 4

    @classmethod
    def external(cls, suite: CipherSuite, psk_id: bytes, random: Random) -> Self:
        """The external key `psk_id`, with a fresh nonce (section 8.4)."""
        return cls(PreSharedKeyID(ExternalPsk(psk_id), random(suite.hash_length)))

    @classmethod
    def application(cls, suite: CipherSuite, component_id: int, psk_id: bytes, random: Random) -> Self:
        """A component's key `psk_id`, with a fresh nonce."""
        return cls(PreSharedKeyID(ApplicationPsk(component_id, psk_id), random(suite.hash_length)))

    @classmethod
    def resumption(cls, suite: CipherSuite, group_id: bytes, epoch: int, random: Random) -> Self:
        """The resumption PSK of an epoch, of this group or another, with a fresh nonce (section 8.6)."""
        return cls(PreSharedKeyID(ResumptionPsk(1, group_id, epoch), random(suite.hash_length)))


@struct
class ReInit(Struct):
    """Ask to close the group and found it anew, with these parameters (section 12.1.5)."""

    group_id: Annotated[bytes, opaque]
    version: Annotated[int, uint16]
    cipher_suite: Annotated[int, uint16]
    extensions: Annotated[tuple[Extension, ...], extensions]
    TYPE: ClassVar[int] = 5


@struct
class ExternalInit(Struct):
    """How a joiner by external commit gives the group an init secret (section 12.1.6)."""

    kem_output: Annotated[bytes, opaque]
    TYPE: ClassVar[int] = 6


@struct
class GroupContextExtensions(Struct):
    """Replace all extensions of the group."""

    extensions: Annotated[tuple[Extension, ...], extensions]
    TYPE: ClassVar[int] = 7


@struct
class SelfRemove(Struct):
    """The sender asks to be taken out (draft-ietf-mls-extensions); it travels on its own and in the clear."""

    TYPE: ClassVar[int] = 0x000A


Proposal = Add | Update | Remove | PreSharedKey | ReInit | ExternalInit | GroupContextExtensions | SelfRemove
PROPOSALS: Final = (Add, Update, Remove, PreSharedKey, ReInit, ExternalInit, GroupContextExtensions, SelfRemove)
proposal: Final = Tagged(uint16, {kind.TYPE: kind for kind in PROPOSALS})


# Commits (section 12.4)


@struct
class ByValue(Struct):
    """A proposal that travels inside the commit."""

    proposal: Annotated[Proposal, proposal]


@struct
class ByReference(Struct):
    """A proposal sent before, by the hash of its AuthenticatedContent (section 5.2)."""

    reference: Annotated[bytes, opaque]


ProposalOrRef = ByValue | ByReference
proposal_or_ref: Final = Tagged(uint8, {1: ByValue, 2: ByReference})


@struct
class UpdatePathNode(Struct):
    """A fresh key for one parent, and its path secret sealed to the other side (section 7.6)."""

    encryption_key: Annotated[bytes, opaque]
    encrypted_path_secret: Annotated[tuple[HPKECiphertext, ...], Vector(HPKECiphertext, MAX_LEAVES)]


@struct
class UpdatePath(Struct):
    """The committer's new leaf and the parents of its filtered direct path."""

    leaf_node: LeafNode
    nodes: Annotated[tuple[UpdatePathNode, ...], Vector(UpdatePathNode, MAX_DEPTH)]


@struct
class Commit(Struct):
    """What ends an epoch."""

    proposals: Annotated[tuple[ProposalOrRef, ...], Vector(proposal_or_ref, MAX_LEAVES)]
    path: Annotated[UpdatePath | None, Optional(UpdatePath)]


# Welcoming (section 12.4.3)


@struct
class GroupInfo(Struct):
    """A group at the start of an epoch, signed by a member."""

    group_context: GroupContext
    extensions: Annotated[tuple[Extension, ...], extensions]
    confirmation_tag: Annotated[bytes, opaque]
    signer: Annotated[int, uint32]
    signature: Annotated[bytes, opaque]

    def to_be_signed(self) -> bytes:
        """GroupInfoTBS."""
        encoding = self.encode()
        return encoding[: len(encoding) - len(vector_bytes(self.signature))]


@struct
class PathSecret(Struct):
    """The secret of the lowest node above both committer and joiner."""

    path_secret: Annotated[bytes, opaque]


@struct
class GroupSecrets(Struct):
    """What one joiner gets sealed to its init key."""

    joiner_secret: Annotated[bytes, opaque]
    path_secret: Annotated[PathSecret | None, Optional(PathSecret)]
    psks: Annotated[tuple[PreSharedKeyID, ...], Vector(PreSharedKeyID, MAX_LEAVES)]


@struct
class EncryptedGroupSecrets(Struct):
    """The sealed secrets of one joiner, found by its KeyPackageRef."""

    new_member: Annotated[bytes, opaque]
    encrypted_group_secrets: HPKECiphertext


@struct
class Welcome(Struct):
    """Brings the clients that one commit added into the group."""

    cipher_suite: Annotated[int, uint16]
    secrets: Annotated[tuple[EncryptedGroupSecrets, ...], Vector(EncryptedGroupSecrets, MAX_LEAVES)]
    encrypted_group_info: Annotated[bytes, opaque]
