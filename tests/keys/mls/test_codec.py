"""The codec: shortest lengths, known tags, nothing left over, and no other error than its own."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.mls import (
    Capabilities,
    Credential,
    DecodeError,
    EncodeError,
    Extension,
    KeyPackage,
    KeyPackageSecrets,
    MLSMessage,
    PendingCommit,
    PublicGroup,
    cipher_suite,
    codec,
    peek,
)
from keys.mls.codec import Reader, decode_all, encode_with, varint
from keys.mls.errors import MLSError
from keys.mls.framing import AuthenticatedContent
from keys.mls.messages import Commit, GroupContext, GroupInfo, GroupSecrets
from keys.mls.nodes import LeafNode, RequiredCapabilities, ratchet_tree
from keys.mls.parts import split_parts
from keys.mls.past import EndedEpoch
from keys.mls.state import EpochPart
from keys.mls.tree import Tree
from tests.keys.mls.people import Names, Person, World

SUITE = cipher_suite(1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param("c0", "prefix", id="reserved prefix"),
        pytest.param("ffffffffffffffff", "prefix", id="reserved prefix, eight bytes"),
        pytest.param("4000", "shortest", id="zero in two bytes"),
        pytest.param("403f", "shortest", id="63 in two bytes"),
        pytest.param("80000000", "shortest", id="zero in four bytes"),
        pytest.param("80003fff", "shortest", id="16383 in four bytes"),
        pytest.param("", "nothing left", id="no length"),
        pytest.param("40", "expected", id="half a length of two"),
        pytest.param("800040", "expected", id="three quarters of a length of four"),
    ],
)
def test_lengths_that_are_refused(data: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        Reader(bytes.fromhex(data)).varint()


@pytest.mark.parametrize("length", [0, 1, 63, 64, 16383, 16384, (1 << 30) - 1])
def test_a_length_has_one_form(length: int) -> None:
    assert Reader(varint(length)).varint() == length


def test_a_length_beyond_thirty_bits_cannot_be_written() -> None:
    with pytest.raises(EncodeError):
        varint(1 << 30)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(codec.uint8, 256, id="too large"),
        pytest.param(codec.uint16, -1, id="negative"),
        pytest.param(codec.Fixed(4), b"123", id="too short"),
    ],
)
def test_values_that_do_not_fit(field: Any, value: Any) -> None:
    with pytest.raises(EncodeError):
        encode_with(field, value)


def test_more_than_the_limit_is_not_looked_at() -> None:
    with pytest.raises(DecodeError, match="limit"):
        MLSMessage.decode(bytes(codec.MAX_SIZE + 1))


@pytest.mark.parametrize("vector", [codec.uint16s, codec.Vector(codec.uint16)], ids=["at once", "one by one"])
def test_a_vector_does_not_reach_over_its_end(vector: Any) -> None:
    with pytest.raises(DecodeError):
        decode_all(vector, b"\x03\x00\x01\x00")
    with pytest.raises(DecodeError, match="left"):
        decode_all(vector, b"\x04\x00\x01")
    assert decode_all(vector, b"\x04\x00\x01\x01\x00") == (1, 256)


def test_a_presence_octet_is_zero_or_one() -> None:
    with pytest.raises(DecodeError, match="presence"):
        decode_all(codec.Optional(codec.uint8), b"\x02\x01")


def test_a_credential_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(DecodeError, match="credential"):
        Credential.decode(b"\x00\x03\x00")


def test_a_credential_keeps_its_chain() -> None:
    credential = Credential.x509([b"leaf", b"registrar"])
    assert Credential.decode(credential.encode()) == credential
    assert credential.certificates == (b"leaf", b"registrar")


@pytest.fixture(scope="module")
def samples() -> list[tuple[str, Callable[[bytes], Any], bytes]]:
    """One of each thing that is read from outside or from the disk."""
    world = World(SUITE, 3)
    pending = world[b"member 0"].commit(random=world.random, with_tree=True)
    package, secrets = world.people[0].key_package(last_resort=True)
    world.propose(b"member 1", world[b"member 1"].propose_update(random=world.random))
    world.say(b"member 2")
    group, private = world[b"member 1"].protect(b"text", random=world.random)
    added = world[b"member 0"].commit([], by_reference=(), random=world.random, authenticated_data=b"ad")
    world.add(b"member 2", [Person.named(SUITE, b"late")])
    parts = world[b"member 1"].parts()
    past = next(content for name, content in parts.items() if name.startswith("past-"))
    auth = Names()
    return [
        ("commit message", MLSMessage.decode, pending.message),
        ("commit message with data", MLSMessage.decode, added.message),
        ("group info", MLSMessage.decode, pending.group_info),
        ("private message", MLSMessage.decode, private),
        ("key package", KeyPackage.decode, package.encode()),
        ("key package secrets", KeyPackageSecrets.decode, secrets.encode()),
        ("leaf", LeafNode.decode, package.leaf_node.encode()),
        ("capabilities", Capabilities.decode, package.leaf_node.capabilities.encode()),
        ("context", GroupContext.decode, group.context.encode()),
        ("tree", lambda data: Tree.decode(SUITE, data), world.public.tree_bytes()),
        ("public group", lambda data: PublicGroup.decode(data, auth), world.public.encode()),
        ("pending commit", lambda data: PendingCommit.decode(data, auth), pending.encode()),
        ("epoch part", EpochPart.decode, parts["epoch"]),
        ("past part", EndedEpoch.decode, past),
    ]


def test_everything_is_refused_when_cut_or_lengthened(
    samples: list[tuple[str, Callable[[bytes], Any], bytes]],
) -> None:
    for name, decode, data in samples:
        value = decode(data)
        encoded = value.encode()
        assert encoded == data, name
        step = max(1, len(data) // 400)
        for cut in [*range(0, len(data), step), len(data) - 1]:
            with pytest.raises(MLSError):
                decode(data[:cut])
        with pytest.raises(MLSError):
            decode(data + b"\0")


@pytest.mark.parametrize(
    "decode",
    [
        pytest.param(MLSMessage.decode, id="MLSMessage"),
        pytest.param(MLSMessage.unwrap, id="unwrapped"),
        pytest.param(lambda data: MLSMessage.unwrap(b"\0\1" + data), id="any wire format"),
        pytest.param(lambda data: MLSMessage.unwrap(b"\0\1\0\1" + data), id="public message"),
        pytest.param(peek, id="peek"),
        pytest.param(KeyPackage.decode, id="KeyPackage"),
        pytest.param(LeafNode.decode, id="LeafNode"),
        pytest.param(Commit.decode, id="Commit"),
        pytest.param(GroupInfo.decode, id="GroupInfo"),
        pytest.param(GroupSecrets.decode, id="GroupSecrets"),
        pytest.param(AuthenticatedContent.decode, id="AuthenticatedContent"),
        pytest.param(RequiredCapabilities.decode, id="RequiredCapabilities"),
        pytest.param(lambda data: decode_all(ratchet_tree, data), id="ratchet tree"),
        pytest.param(split_parts, id="parts"),
        pytest.param(lambda data: PublicGroup.decode(data, Names()), id="public group"),
        pytest.param(lambda data: PendingCommit.decode(data, Names()), id="pending commit"),
    ],
)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_decode_errors(decode: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode(data)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_is_refused_or_read_as_written(place: int, bit: int) -> None:
    data = bytearray(FLIPPED)
    data[place % len(data)] ^= 1 << bit
    try:
        value = MLSMessage.decode(bytes(data))
    except DecodeError:
        return
    assert value.encode() == bytes(data)


def _sample() -> bytes:
    world = World(SUITE, 3)
    return world[b"member 0"].commit(random=world.random).message


FLIPPED = _sample()


def test_names_of_parts_are_plain() -> None:
    with pytest.raises(DecodeError, match="ASCII"):
        split_parts(b"\x03\x01\xff\x00")


def test_extensions_keep_their_bytes() -> None:
    extension = Extension(0x0A0A, b"\xff\x00")
    assert Extension.decode(extension.encode()) == extension
