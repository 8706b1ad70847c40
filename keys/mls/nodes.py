"""What stands in a ratchet tree (RFC 9420 sections 5.3, 7.1 and 7.2): leaves, parents, and what a leaf carries.

These are claims as they were sent. `rules.py` says which leaf may stand where, `tree.py` which tree could be real.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Self

from keys.mls.codec import (
    Optional,
    Reader,
    Struct,
    Tagged,
    Uints,
    Vector,
    opaque,
    struct,
    uint8,
    uint16,
    uint16s,
    uint32,
    uint64,
    vector_bytes,
)
from keys.mls.errors import DecodeError
from keys.mls.suites import CipherSuite
from keys.mls.treemath import MAX_LEAVES

MLS10: Final = 1
"""The protocol version."""

BASIC: Final = 1
X509: Final = 2

APPLICATION_ID: Final = 0x0001
RATCHET_TREE: Final = 0x0002
REQUIRED_CAPABILITIES: Final = 0x0003
EXTERNAL_PUB: Final = 0x0004
EXTERNAL_SENDERS: Final = 0x0005
LAST_RESORT: Final = 0x000A
"""A KeyPackage that may be handed out more than once (the plain extension of earlier drafts of mls-extensions)."""

DEFAULT_EXTENSIONS: Final = frozenset(range(1, 6))
DEFAULT_PROPOSALS: Final = frozenset(range(1, 8))


@struct
class Extension(Struct):
    """A typed parameter (section 13.4); its data is kept byte for byte."""

    extension_type: Annotated[int, uint16]
    extension_data: Annotated[bytes, opaque]


extensions: Final = Vector(Extension)


def find_extension(among: tuple[Extension, ...], extension_type: int) -> bytes | None:
    """The data of the extension of this type, if there is one."""
    for extension in among:
        if extension.extension_type == extension_type:
            return extension.extension_data
    return None


_certificates: Final = Vector(opaque)


@dataclass(frozen=True, slots=True)
class Credential(Struct):
    """Who a member says it is (section 5.3): a basic identity, or an X.509 chain with the end entity first."""

    credential_type: int
    identity: bytes = b""
    certificates: tuple[bytes, ...] = ()

    @classmethod
    def basic(cls, identity: bytes) -> Self:
        return cls(BASIC, identity=identity)

    @classmethod
    def x509(cls, certificates: Iterable[bytes]) -> Self:
        """A chain of DER certificates."""
        return cls(X509, certificates=tuple(certificates))

    def _write_fields(self, out: bytearray) -> None:
        uint16.write(self.credential_type, out)
        if self.credential_type == BASIC:
            opaque.write(self.identity, out)
        else:
            _certificates.write(self.certificates, out)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        credential_type = uint16.read(reader)
        match credential_type:
            case 1:
                return cls(BASIC, identity=opaque.read(reader))
            case 2:
                return cls(X509, certificates=_certificates.read(reader))
        raise DecodeError(f"unknown credential type {credential_type}")


@struct
class Capabilities(Struct):
    """What a client can do (section 7.2); unknown values are kept and ignored."""

    versions: Annotated[tuple[int, ...], uint16s]
    cipher_suites: Annotated[tuple[int, ...], uint16s]
    extensions: Annotated[tuple[int, ...], uint16s]
    proposals: Annotated[tuple[int, ...], uint16s]
    credentials: Annotated[tuple[int, ...], uint16s]

    def lacks(self, required: "RequiredCapabilities") -> str | None:
        """The first thing required that is neither listed nor a default, in words; else None."""
        for extension_type in required.extension_types:
            if extension_type not in DEFAULT_EXTENSIONS and extension_type not in self.extensions:
                return f"extension {extension_type:#06x}"
        for proposal_type in required.proposal_types:
            if proposal_type not in DEFAULT_PROPOSALS and proposal_type not in self.proposals:
                return f"proposal {proposal_type:#06x}"
        for credential_type in required.credential_types:
            if credential_type not in self.credentials:
                return f"credential {credential_type:#06x}"
        return None


@struct
class RequiredCapabilities(Struct):
    """What a group asks of every member (section 11.1)."""

    extension_types: Annotated[tuple[int, ...], uint16s]
    proposal_types: Annotated[tuple[int, ...], uint16s]
    credential_types: Annotated[tuple[int, ...], uint16s]


@struct
class ExternalSender(Struct):
    """Somebody outside who may send proposals (section 12.1.8.1)."""

    signature_key: Annotated[bytes, opaque]
    credential: Credential


@struct
class Lifetime(Struct):
    """Leaf node source `key_package`: when it counts, in seconds since 1970 (section 7.2)."""

    not_before: Annotated[int, uint64]
    not_after: Annotated[int, uint64]


@struct
class FromUpdate(Struct):
    """Leaf node source `update`."""


@struct
class FromCommit(Struct):
    """Leaf node source `commit`."""

    parent_hash: Annotated[bytes, opaque]


Source = Lifetime | FromUpdate | FromCommit
source: Final = Tagged(uint8, {1: Lifetime, 2: FromUpdate, 3: FromCommit})


@struct(cached=True)
class LeafNode(Struct):
    """One client in the group, signed by itself (section 7.2)."""

    encryption_key: Annotated[bytes, opaque]
    signature_key: Annotated[bytes, opaque]
    credential: Credential
    capabilities: Capabilities
    leaf_node_source: Annotated[Source, source]
    extensions: Annotated[tuple[Extension, ...], extensions]
    signature: Annotated[bytes, opaque]

    @property
    def parent_hash(self) -> bytes | None:
        """The parent hash that a committed leaf vouches for."""
        return self.leaf_node_source.parent_hash if isinstance(self.leaf_node_source, FromCommit) else None

    def to_be_signed(self, group_id: bytes, leaf_index: int) -> bytes:
        """LeafNodeTBS: the place in the group counts for leaves that were made in the group."""
        encoding = self.encode()
        content = encoding[: len(encoding) - len(vector_bytes(self.signature))]
        if isinstance(self.leaf_node_source, Lifetime):
            return content
        return content + vector_bytes(group_id) + leaf_index.to_bytes(4)

    def verify_signature(self, suite: CipherSuite, group_id: bytes, leaf_index: int) -> None:
        """Raise `BadSignature` unless the leaf's own key signed it, for this place."""
        tbs = self.to_be_signed(group_id, leaf_index)
        suite.verify_with_label(self.signature_key, b"LeafNodeTBS", tbs, self.signature)


@struct(cached=True)
class ParentNode(Struct):
    """A key held by the members below it, but for those that are unmerged (section 7.1)."""

    encryption_key: Annotated[bytes, opaque]
    parent_hash: Annotated[bytes, opaque]
    unmerged_leaves: Annotated[tuple[int, ...], Uints(uint32, MAX_LEAVES)]


Node = LeafNode | ParentNode
ratchet_tree: Final = Vector(Optional(Tagged(uint8, {1: LeafNode, 2: ParentNode})), 4 * MAX_LEAVES)
"""`optional<Node> ratchet_tree<V>` (section 12.4.3.3)."""
