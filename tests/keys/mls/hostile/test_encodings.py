"""Encodings (RFC 9420 sections 2.1.1, 2.1.2, 5.3, 6 and 12.1): what is not the one encoding of a value is refused.

Every codec by itself is under test in `test_codec.py`; here stands what a whole message can have wrong.
"""

from collections.abc import Callable

from keys.mls import DecodeError, MLSMessage
from keys.mls.framing import AuthenticatedContent, FramedContent
from keys.mls.messages import Commit
from keys.mls.nodes import Credential
from tests.keys.mls.hostile.forging import forge
from tests.keys.mls.hostile.scene import member, scene
from tests.keys.mls.hostile.table import Case, Row, heard, judge, table


def encoded(decode: Callable[[bytes], object], hostile: bytes, honest: bytes) -> Callable[[], Case]:
    return lambda: Case([lambda: decode(hostile)], [lambda: decode(honest)])


def on_the_wire(change: Callable[[bytes], bytes]) -> Callable[[], Case]:
    """A Commit of member 0 whose bytes are changed."""

    def case() -> Case:
        honest = forge(member(0))
        return heard(member(1), scene().public, change(honest), honest)

    return case


FRAME = b"\x01g" + bytes(8) + b"\x01" + bytes(4) + b"\x00"
"""Group, epoch, sender and authenticated data of a FramedContent."""
SIGNED = b"\0\1" + FRAME + b"\1\0" + b"\1s"
"""A PublicMessage's content and signature."""


@table(
    Row(
        "2.1.1",
        "a presence octet is 0 or 1",
        encoded(Commit.decode, b"\x00\x02", b"\x00\x00"),
        DecodeError,
        "presence octet 02",
    ),
    Row(
        "2.1.2",
        "a length has its shortest form",
        encoded(Commit.decode, b"\x40\x00\x00", b"\x00\x00"),
        DecodeError,
        "not in its shortest form",
    ),
    Row(
        "2.1.2",
        "a length of four bytes needs them",
        encoded(Commit.decode, b"\x80\x00\x00\x00\x00", b"\x00\x00"),
        DecodeError,
        "not in its shortest form",
    ),
    Row(
        "2.1.2",
        "a length does not begin with 0b11",
        encoded(Commit.decode, b"\xc0\x00", b"\x00\x00"),
        DecodeError,
        "length prefix 0b11",
    ),
    Row(
        "2.1.2", "a vector is whole", encoded(Commit.decode, b"\x05\x00", b"\x00\x00"), DecodeError, "vector of 5 bytes"
    ),
    Row("2.1.2", "nothing follows a message", on_the_wire(lambda m: m + b"\0"), DecodeError, "1 bytes left over"),
    Row("2.1.2", "a message is whole", on_the_wire(lambda m: m[:-1]), DecodeError, "expected"),
    Row(
        "6", "the wire format is known", on_the_wire(lambda m: m[:2] + b"\0\x06" + m[4:]), DecodeError, "unknown tag 6"
    ),
    Row(
        "6",
        "the wire format is not reserved",
        on_the_wire(lambda m: m[:2] + b"\0\0" + m[4:]),
        DecodeError,
        "unknown tag 0",
    ),
    Row("6", "the version is known", on_the_wire(lambda m: b"\0\2" + m[2:]), DecodeError, "not a message of MLS 1.0"),
    Row(
        "6",
        "the sender type is known",
        encoded(FramedContent.decode, b"\x01g" + bytes(8) + b"\x05", FRAME + b"\1\0"),
        DecodeError,
        "unknown tag 5",
    ),
    Row(
        "6",
        "the content type is known",
        encoded(FramedContent.decode, FRAME + b"\4\0", FRAME + b"\1\0"),
        DecodeError,
        "unknown tag 4",
    ),
    Row(
        "12.1",
        "the proposal type is known",
        encoded(FramedContent.decode, FRAME + b"\2\x0a\x0a\0", FRAME + b"\2\0\3\0\0\0\0"),
        DecodeError,
        "unknown tag 2570",
    ),
    Row(
        "12.4",
        "a proposal comes by value or by reference",
        encoded(Commit.decode, b"\x02\x03\x00\x00", b"\x02\x02\x00\x00"),
        DecodeError,
        "unknown tag 3",
    ),
    Row(
        "5.3",
        "the credential type is known",
        encoded(Credential.decode, b"\x0a\x0a\0", b"\0\1\0"),
        DecodeError,
        "unknown credential type 2570",
    ),
    Row(
        "2.1.2",
        "nothing follows what was signed",
        encoded(AuthenticatedContent.decode, SIGNED + b"\0", SIGNED),
        DecodeError,
        "1 bytes left over",
    ),
    Row(
        "6",
        "a message has its body",
        encoded(MLSMessage.decode, b"\0\1\0\1", forge(member(0))),
        DecodeError,
        "nothing left",
    ),
)
def test_an_encoding(row: Row) -> None:
    judge(row)
