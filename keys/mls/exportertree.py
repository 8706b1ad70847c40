"""The safe exporter of draft-ietf-mls-extensions-09 section 4.4: one secret for each component and epoch, given once.

A tree like the secret tree (RFC 9420 section 9) with 2^16 leaves, a leaf for each component ID. At its root stands the
epoch's application_export_secret. A secret that is taken takes the way down to it along, so neither it nor anything
above it can be had again from the state: what was exported is forward secret within the epoch, which MLS-Exporter
(RFC 9420 section 8.5) is not. Nodes that nobody came by are never made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from keys.mls import treemath
from keys.mls.codec import Struct, Vector, decode_all, encode_with, opaque, struct, uint32
from keys.mls.errors import DecodeError, Misuse
from keys.mls.secrettree import take_leaf
from keys.mls.suites import CipherSuite

COMPONENTS: Final = 1 << 16
"""Number of component IDs, and of leaves."""


@struct
class ExporterNode(Struct):
    """The secret of a subtree from which nothing was taken."""

    node: Annotated[int, uint32]
    secret: Annotated[bytes, opaque]


_exporter_nodes: Final = Vector(ExporterNode, COMPONENTS)


@dataclass(frozen=True, slots=True)
class ExporterTree:
    """What components can still take in this epoch."""

    nodes: Mapping[int, bytes]
    """Secrets of subtrees, by node."""

    @classmethod
    def start(cls, application_export_secret: bytes) -> "ExporterTree":
        """The tree of a new epoch."""
        return cls({treemath.root(COMPONENTS): application_export_secret})

    @classmethod
    def spent(cls) -> "ExporterTree":
        """A tree from which nothing can be taken."""
        return cls({})

    def take(self, suite: CipherSuite, component_id: int) -> "tuple[bytes, ExporterTree]":
        """SafeExportSecret: a component's secret of Nh bytes, and the tree without it.

        Raises `Misuse` if it was taken before.
        """
        if not 0 <= component_id < COMPONENTS:
            raise Misuse(f"{component_id} is no component ID")
        taken = take_leaf(suite, self.nodes, COMPONENTS, component_id)
        if taken is None:
            raise Misuse(f"component {component_id:#06x} has taken its secret of this epoch")
        secret, nodes = taken
        return secret, ExporterTree(nodes)

    def part(self) -> dict[str, bytes]:
        """Part `exporter-tree` of a group's state; absent once all is taken."""
        listed = tuple(ExporterNode(node, secret) for node, secret in sorted(self.nodes.items()))
        return {"exporter-tree": encode_with(_exporter_nodes, listed)} if listed else {}

    @classmethod
    def load(cls, parts: Mapping[str, bytes]) -> "ExporterTree":
        """The tree of these parts; raises `DecodeError`."""
        if "exporter-tree" not in parts:
            return cls.spent()
        tree = cls({one.node: one.secret for one in decode_all(_exporter_nodes, parts["exporter-tree"])})
        if tree.part().get("exporter-tree") != parts["exporter-tree"]:
            raise DecodeError("the exporter tree is not in its one form")
        if max(tree.nodes) >= treemath.node_width(COMPONENTS):
            raise DecodeError("a node outside the exporter tree")
        return tree
