"""What people say, as bytes: one encoding a value, and a decoder that raises only its own error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core.content import (
    AckText,
    AlertContent,
    Cards,
    Content,
    DraftContent,
    DraftVoid,
    JumpReason,
    Purpose,
    Text,
    encode_content,
    read_content,
)
from keys.errors import Malformed
from tests.keys.shapes import sample

FORMS: list[Content] = [
    Text("at east gate, vehicle clear", 1_790_000_000_000, True),
    Cards([b"card", b"another"]),
    Purpose("east gate"),
    AlertContent(b"<alert/>", bytes(16), [3, 200], "drill"),
    sample(DraftContent),
    sample(DraftContent, none=True),
    DraftVoid(bytes(32)),
    JumpReason(bytes(32), bytes(16), "nobody answers"),
    AckText(bytes(32), "on my way"),
]


@pytest.mark.parametrize("content", [pytest.param(f, id=type(f).__name__) for f in FORMS])
class TestForms:
    def test_round_trip(self, content: Content) -> None:
        data = encode_content(content)
        assert read_content(data) == content
        assert encode_content(read_content(data)) == data

    def test_cut_at_every_byte(self, content: Content) -> None:
        data = encode_content(content)
        for length in range(len(data)):
            with pytest.raises(Malformed):
                read_content(data[:length])

    def test_a_byte_too_many(self, content: Content) -> None:
        with pytest.raises(Malformed):
            read_content(encode_content(content) + b"\0")


@given(st.binary(max_size=80))
def test_anything_else_is_malformed(data: bytes) -> None:
    try:
        content = read_content(data)
    except Malformed:
        return
    assert encode_content(content) == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x94\x01\xa1x\x00\xc2\xc0"[:-1] + b"", id="a form of fewer fields"),
        pytest.param(b"\x92\x63\xa1x", id="a form that is not known"),
        pytest.param(b"\x92\xcc\x03\xa1x", id="a tag longer than it need be"),
        pytest.param(b"\x82\x01\x02\x03\x04", id="a map"),
    ],
)
def test_other_encodings(data: bytes) -> None:
    if data[:1] == b"\x94":
        data = b"\x93" + data[1:-1]
    with pytest.raises(Malformed):
        read_content(data)
