"""The secret tree (RFC 9420 section 9): one message, one key, and no way back.

The encryption secret of an epoch stands at the root. When a leaf is first needed, the secrets on its way down are
replaced by those of their other children, so what was used to get there is gone; then each message steps the leaf's
ratchet and leaves behind only the keys of generations that were skipped. Everything is a value: opening returns the
tree as it is afterwards, and until the ciphertext has opened nobody holds that one, so a forged generation can't
move a ratchet.

How many skipped keys are kept, and for how long, `Limits` says. A `Backlog` lifts those bounds for messages that are
known to be on their way, and for no others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated, Final, NamedTuple

from keys.mls import treemath
from keys.mls.codec import Reader, Struct, Vector, opaque, struct, uint32, uint64
from keys.mls.errors import Duplicate, Misuse, OutOfRange
from keys.mls.suites import CipherSuite

HANDSHAKE: Final = 0
APPLICATION: Final = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How much disorder is borne (section 15.3)."""

    kept_keys: int = 32
    """Keys of skipped generations, for each sender and kind in one epoch; the oldest go first."""
    forward: int = 1000
    """Furthest a ratchet is stepped for one message."""
    past_epochs: int = 3
    """Epochs whose application messages can still be read."""
    past_seconds: int = 3600
    """How long they can after their epoch has ended."""
    resumption_epochs: int = 16
    """Past epochs whose resumption PSK can still be named (section 8.6 asks the application for such a limit)."""
    announced: int = 1 << 15
    """Most messages of one announced backlog that are believed."""


DEFAULT_LIMITS: Final = Limits()


@struct
class Backlog(Struct):
    """Messages that somebody trusted with this has announced: they were sent, and will still come.

    For them the keys are kept that `Limits` would drop, from `first_epoch` on, until they are drained or out of date.
    """

    first_epoch: Annotated[int, uint64]
    messages: Annotated[int, uint32]
    """No sender's ratchet is further apart than this, beyond what is borne anyway."""
    until_seconds: Annotated[int, uint64]
    """When waiting ends, in seconds since 1970."""


class KeyNonce(NamedTuple):
    """What seals one message."""

    key: bytes
    nonce: bytes


@struct
class SkippedKey(Struct):
    """The key of a generation that was passed over and may yet arrive."""

    generation: Annotated[int, uint32]
    key: Annotated[bytes, opaque]
    nonce: Annotated[bytes, opaque]


@struct(cached=True)
class Ratchet(Struct):
    """One sender's keys of one kind: the secret of the next generation, and those skipped (section 9.1)."""

    secret: Annotated[bytes, opaque]
    generation: Annotated[int, uint32]
    forgotten: Annotated[int, uint32]
    """Below this generation a missing key says nothing: it may have been used or dropped."""
    skipped: Annotated[tuple[SkippedKey, ...], Vector(SkippedKey, 1 << 16)]

    def next(self, suite: CipherSuite) -> "tuple[KeyNonce, Ratchet]":
        """The key of this generation, and the ratchet after it."""
        if self.generation >= 0xFFFFFFFF:
            raise Misuse("this ratchet has no generation left")
        key_nonce, secret = _step(suite, self.secret, self.generation)
        return key_nonce, Ratchet(secret, self.generation + 1, self.forgotten, self.skipped)

    def take(
        self, suite: CipherSuite, generation: int, limits: Limits
    ) -> "tuple[KeyNonce, Ratchet, Sequence[SkippedKey]]":
        """The key of a generation, the ratchet without it, and the skipped keys for which that has no room.

        Raises `Duplicate`, `OutOfRange`.
        """
        if generation < self.generation:
            return *self._take_skipped(generation), ()
        if generation - self.generation > limits.forward or generation >= 0xFFFFFFFF:
            raise OutOfRange(f"generation {generation}, {generation - self.generation} ahead")
        secret, skipped = self.secret, list(self.skipped)
        for passed in range(self.generation, generation):
            key_nonce, secret = _step(suite, secret, passed)
            skipped.append(SkippedKey(passed, key_nonce.key, key_nonce.nonce))
        key_nonce, secret = _step(suite, secret, generation)
        forgotten, dropped = self.forgotten, skipped[: max(0, len(skipped) - limits.kept_keys)]
        if dropped:
            forgotten = dropped[-1].generation + 1
            del skipped[: len(dropped)]
        return key_nonce, Ratchet(secret, generation + 1, forgotten, tuple(skipped)), dropped

    def _take_skipped(self, generation: int) -> "tuple[KeyNonce, Ratchet]":
        for place, kept in enumerate(self.skipped):
            if kept.generation == generation:
                rest = self.skipped[:place] + self.skipped[place + 1 :]
                ratchet = Ratchet(self.secret, self.generation, self.forgotten, rest)
                return KeyNonce(kept.key, kept.nonce), ratchet
        if generation < self.forgotten:
            raise OutOfRange(f"generation {generation}, kept from {self.forgotten}")
        raise Duplicate(f"generation {generation} was read before")


def _step(suite: CipherSuite, secret: bytes, generation: int) -> tuple[KeyNonce, bytes]:
    """Key and nonce of a generation, and the secret of the next (DeriveTreeSecret, section 9.1)."""
    context = generation.to_bytes(4)
    return (
        KeyNonce(
            suite.expand_with_label(secret, b"key", context, suite.key_length),
            suite.expand_with_label(secret, b"nonce", context, suite.nonce_length),
        ),
        suite.expand_with_label(secret, b"secret", context, suite.hash_length),
    )


@struct(cached=True)
class LeafRatchets(Struct):
    """Both ratchets of one sender."""

    handshake: Ratchet
    application: Ratchet

    def of(self, kind: int) -> Ratchet:
        return self.application if kind == APPLICATION else self.handshake

    def having(self, kind: int, ratchet: Ratchet) -> "LeafRatchets":
        if kind == APPLICATION:
            return LeafRatchets(self.handshake, ratchet)
        return LeafRatchets(ratchet, self.application)


BLOCK: Final = 64
"""Generations whose announced keys are kept in one piece, so that reading one message rewrites some 2 kB."""


@struct(cached=True)
class AnnouncedKeys(Struct):
    """Keys of one sender's announced messages: those of a block of generations that are still to come, in order."""

    keys: Annotated[tuple[SkippedKey, ...], Vector(SkippedKey)]


Announced = Mapping[tuple[int, int], AnnouncedKeys]
"""By leaf index and number of the block."""


@struct
class NodeSecret(Struct):
    """The secret of a subtree none of whose leaves was needed yet."""

    node: Annotated[int, uint32]
    secret: Annotated[bytes, opaque]


_node_secrets: Final = Vector(NodeSecret, treemath.MAX_LEAVES)


def take_leaf(
    suite: CipherSuite, nodes: Mapping[int, bytes], leaves: int, leaf: int
) -> tuple[bytes, dict[int, bytes]] | None:
    """A leaf's secret, and those of subtrees without it and all above it (sections 9 and 9.2); None if it was taken."""
    node, target, kept = treemath.root(leaves), 2 * leaf, dict(nodes)
    while node not in kept:
        if node == target:
            return None
        node = treemath.left(node) if target < node else treemath.right(node)
    secret = kept.pop(node)
    while node != target:
        left = suite.expand_with_label(secret, b"tree", b"left", suite.hash_length)
        right = suite.expand_with_label(secret, b"tree", b"right", suite.hash_length)
        if target < node:
            kept[treemath.right(node)], node, secret = right, treemath.left(node), left
        else:
            kept[treemath.left(node)], node, secret = left, treemath.right(node), right
    return secret, kept


@dataclass(frozen=True, slots=True)
class SecretTree:
    """The message keys of one epoch, as far as they are not consumed."""

    leaves: int
    nodes: Mapping[int, bytes]
    """Secrets of subtrees, by node."""
    ratchets: Mapping[int, LeafRatchets]
    """Ratchets of the senders that were needed, by leaf index."""
    announced: Announced
    """Application keys beyond what the ratchets keep, for a backlog."""

    @classmethod
    def start(cls, leaves: int, encryption_secret: bytes) -> "SecretTree":
        """The tree of a new epoch."""
        return cls(leaves, {treemath.root(leaves): encryption_secret}, {}, {})

    def open_leaf(self, suite: CipherSuite, leaf: int) -> "SecretTree":
        """The same tree with this leaf's ratchets begun, and the secrets above it gone (section 9.2)."""
        if leaf in self.ratchets:
            return self
        if not 0 <= leaf < self.leaves:
            raise OutOfRange(f"leaf {leaf} in a tree of {self.leaves}")
        taken = take_leaf(suite, self.nodes, self.leaves, leaf)
        assert taken is not None  # whose secret is gone has its ratchets
        secret, nodes = taken
        begun = LeafRatchets(
            Ratchet(suite.expand_with_label(secret, b"handshake", b"", suite.hash_length), 0, 0, ()),
            Ratchet(suite.expand_with_label(secret, b"application", b"", suite.hash_length), 0, 0, ()),
        )
        return replace(self, nodes=nodes, ratchets={**self.ratchets, leaf: begun})

    def next_key(self, suite: CipherSuite, leaf: int, kind: int) -> "tuple[int, KeyNonce, SecretTree]":
        """Generation and key for the next message that this leaf sends."""
        tree = self.open_leaf(suite, leaf)
        ratchets = tree.ratchets[leaf]
        generation = ratchets.of(kind).generation
        key_nonce, ratchet = ratchets.of(kind).next(suite)
        return generation, key_nonce, tree._with(leaf, ratchets.having(kind, ratchet))

    def take_key(
        self,
        suite: CipherSuite,
        leaf: int,
        kind: int,
        generation: int,
        limits: Limits,
        backlog: Backlog | None = None,
    ) -> "tuple[KeyNonce, SecretTree]":
        """The key of a message that arrived, and the tree without it; raises `Duplicate`, `OutOfRange`.

        With a `backlog` of this epoch a ratchet may go further, and no key is dropped on the way.
        """
        if (kept := self._take_announced(leaf, kind, generation)) is not None:
            return kept
        tree = self.open_leaf(suite, leaf)
        ratchets = tree.ratchets[leaf]
        if backlog is not None and kind == APPLICATION:
            limits = replace(limits, forward=limits.forward + backlog.messages)
        key_nonce, ratchet, dropped = ratchets.of(kind).take(suite, generation, limits)
        after = tree._with(leaf, ratchets.having(kind, ratchet))
        if backlog is not None and kind == APPLICATION and dropped:
            after = after._announce(leaf, dropped, backlog.messages)
        return key_nonce, after

    def _take_announced(self, leaf: int, kind: int, generation: int) -> "tuple[KeyNonce, SecretTree] | None":
        """The key, if it is one that was kept for a backlog, and the tree without it."""
        place = (leaf, generation // BLOCK)
        block = self.announced.get(place) if kind == APPLICATION else None
        found = next((one for one in block.keys if one.generation == generation), None) if block else None
        if block is None or found is None:
            return None
        rest = tuple(one for one in block.keys if one is not found)
        others = {key: value for key, value in self.announced.items() if key != place}
        announced = {**others, place: AnnouncedKeys(rest)} if rest else others
        return KeyNonce(found.key, found.nonce), replace(self, announced=announced)

    def _announce(self, leaf: int, dropped: Sequence[SkippedKey], most: int) -> "SecretTree":
        """The tree with keys that fell off a ratchet kept for the backlog; of each sender the newest `most`."""
        announced = {place: block for place, block in self.announced.items() if place[0] != leaf}
        before = sorted(place for place in self.announced if place[0] == leaf)
        keys = [one for place in before for one in self.announced[place].keys] + list(dropped)
        for number, block in groupby(keys[max(0, len(keys) - most) :], lambda one: one.generation // BLOCK):
            announced[leaf, number] = AnnouncedKeys(tuple(block))
        return replace(self, announced=announced)

    def drained(self) -> "SecretTree":
        """The tree without the keys that were kept for a backlog."""
        return replace(self, announced={}) if self.announced else self

    def without(self, suite: CipherSuite, leaf: int) -> "SecretTree":
        """The tree with this leaf's keys destroyed (our own, once their epoch is over)."""
        tree = self.open_leaf(suite, leaf)
        return replace(tree, ratchets={k: v for k, v in tree.ratchets.items() if k != leaf})

    def _with(self, leaf: int, ratchets: LeafRatchets) -> "SecretTree":
        return replace(self, ratchets={**self.ratchets, leaf: ratchets})

    def encode_nodes(self) -> bytes:
        """The secrets of untouched subtrees; changes only when a sender is heard for the first time."""
        out = bytearray(self.leaves.to_bytes(4))
        _node_secrets.write(tuple(NodeSecret(node, secret) for node, secret in sorted(self.nodes.items())), out)
        return bytes(out)


def decode_nodes(data: bytes) -> tuple[int, dict[int, bytes]]:
    """The number of leaves and the secrets of untouched subtrees; raises `DecodeError`."""
    reader = Reader(data)
    leaves = uint32.read(reader)
    nodes = {kept.node: kept.secret for kept in _node_secrets.read(reader)}
    reader.finish()
    return leaves, nodes
