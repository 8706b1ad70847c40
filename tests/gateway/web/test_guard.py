"""The guard over raw WebSocket bytes: what it lets by, what it closes, and that the cuts between reads don't matter."""

import asyncio

import pytest
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_websocket import WebSocketReader
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.guard import CONTROL_FRAMES, FRAGMENTS, POLICY_VIOLATION, PROTOCOL_ERROR, Guard
from gateway.wire import FRAME_LIMIT


class Sink:
    """A reader that keeps what it is fed."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        self.ended = True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    length = len(payload)
    mask = 0x80 if masked else 0
    if length < 126:
        head = bytes([fin << 7 | opcode, mask | length])
    elif length < 65_536:
        head = bytes([fin << 7 | opcode, mask | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([fin << 7 | opcode, mask | 127]) + length.to_bytes(8, "big")
    return head + (bytes(4) if masked else b"") + payload


def watched(data: bytes) -> tuple[Guard, Sink]:
    sink = Sink()
    guard = Guard(sink, Clock())
    guard.feed_data(data)
    return guard, sink


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(2, b"x"), id="a short message"),
        pytest.param(frame(2, b"x" * 300), id="16-bit length"),
        pytest.param(frame(2, b"x" * 70_000), id="64-bit length"),
        pytest.param(frame(2, b"a", fin=False) + frame(9) + frame(0, b"b"), id="a ping between two fragments"),
        pytest.param((frame(2, b"a", fin=False) + frame(0) * 1) * 200, id="many messages of two frames"),
        pytest.param(frame(9) * CONTROL_FRAMES, id="as many pings as allowed"),
        pytest.param(
            frame(2, fin=False) + frame(0, fin=False) * (FRAGMENTS - 2) + frame(0), id="as many fragments as allowed"
        ),
    ],
)
def test_honest_bytes_pass_unchanged(data: bytes) -> None:
    guard, sink = watched(data)
    assert guard.fault is None
    assert sink.data == data
    assert guard.begun is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(2, b"x", masked=False), PROTOCOL_ERROR, id="attack-69 no mask"),
        pytest.param(frame(9, masked=False), PROTOCOL_ERROR, id="attack-69 ping without a mask"),
        pytest.param(
            frame(2, fin=False) + frame(0, fin=False) * FRAGMENTS, POLICY_VIOLATION, id="attack-68 empty continuations"
        ),
        pytest.param(
            frame(2, b"x", fin=False) + frame(0, b"x", fin=False) * FRAGMENTS,
            POLICY_VIOLATION,
            id="attack-68 one byte each",
        ),
        pytest.param(frame(9) * (CONTROL_FRAMES + 1), POLICY_VIOLATION, id="attack-68 ping flood"),
        pytest.param(frame(10) * (CONTROL_FRAMES + 1), POLICY_VIOLATION, id="attack-68 pong flood"),
    ],
)
def test_what_the_reader_lets_by_is_closed(data: bytes, code: int) -> None:
    for step in (1, 7, len(data)):
        sink = Sink()
        guard = Guard(sink, Clock())
        faults = []
        guard.on_fault = faults.append
        ends = [guard.feed_data(data[at : at + step])[0] for at in range(0, len(data), step)]
        assert guard.fault is not None
        assert guard.fault.code == code
        assert faults == [guard.fault]
        assert ends[-1]
        before = sink.data
        assert guard.feed_data(frame(2, b"more")) == (True, b"")
        assert sink.data == before


def test_control_frames_are_counted_over_ten_seconds() -> None:
    clock = Clock()
    guard = Guard(Sink(), clock)
    for _ in range(5):
        guard.feed_data(frame(9) * CONTROL_FRAMES)
        clock.now += 10.1
    assert guard.fault is None


def test_it_knows_since_when_a_message_is_incomplete() -> None:
    clock = Clock()
    guard = Guard(Sink(), clock)
    message = frame(2, b"hello")
    clock.now = 3.0
    guard.feed_data(message[:3])
    clock.now = 9.0
    guard.feed_data(message[3:8])
    assert guard.begun == 3.0
    guard.feed_data(message[8:])
    assert guard.begun is None


@given(
    st.lists(st.tuples(st.sampled_from([0, 2, 9]), st.binary(max_size=300), st.booleans()), max_size=20),
    st.integers(1, 50),
)
def test_the_cuts_between_reads_do_not_matter(frames: list[tuple[int, bytes, bool]], step: int) -> None:
    data = b"".join(frame(opcode, payload, fin=fin) for opcode, payload, fin in frames)
    whole, _ = watched(data)
    cut = Guard(Sink(), Clock())
    for at in range(0, len(data), step):
        cut.feed_data(data[at : at + step])
    assert (whole.fault, whole.begun is None) == (cut.fault, cut.begun is None)


class Session:
    """Takes so many messages at once, and leaves the rest to the reader."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.heard: list[bytes] = []

    def __call__(self, message: bytes) -> bool:
        if len(self.heard) == self.room:
            return False
        self.heard.append(message)
        return True


def handed(data: bytes, room: int = 100) -> tuple[list[bytes], bytes]:
    """What goes straight to the session, and what is left for the reader."""
    guard = Guard(Sink(), Clock())
    session = guard.on_message = Session(room)
    return session.heard, guard.hand_over(data)


def masked(payload: bytes, mask: bytes = b"\x01\x80\xff\x7f") -> bytes:
    hidden = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    whole = frame(2, hidden)
    start = len(whole) - len(hidden)
    return whole[: start - 4] + mask + hidden


@given(st.lists(st.binary(min_size=2, max_size=300), max_size=8), st.integers(0, 8))
def test_short_whole_messages_are_handed_over_in_order(messages: list[bytes], room: int) -> None:
    heard, rest = handed(b"".join(map(masked, messages)), room)
    assert heard == messages[:room]
    assert rest == b"".join(map(masked, messages[room:]))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(2, b"whole", masked=False), id="no mask"),
        pytest.param(frame(2, b"x" * 126, masked=False), id="no mask, 16-bit length"),
        pytest.param(frame(1, b"text"), id="text"),
        pytest.param(frame(9, b"ping"), id="a control frame"),
        pytest.param(frame(2, b"part", fin=False), id="the beginning of a message"),
        pytest.param(frame(0, b"rest"), id="a continuation"),
        pytest.param(frame(2, b"x" * 5_000), id="a long one"),
        pytest.param(frame(2, b"x" * 70_000), id="64-bit length"),
        pytest.param(b"\x82\xfe\x00\x05" + bytes(4) + b"hello", id="a length in a longer form"),
        pytest.param(b"\xc2\x85" + bytes(4) + b"hello", id="a reserved bit"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_all_else_is_left_to_the_reader(data: bytes) -> None:
    heard, rest = handed(masked(b"before") + data + masked(b"behind"))
    assert heard == ([b"before"] if data else [b"before", b"behind"])
    assert rest == (data + masked(b"behind") if data else b"")


def test_half_a_message_waits_for_the_rest() -> None:
    data = masked(b"whole") + masked(b"half")
    assert all(handed(data[:-cut]) == ([b"whole"], masked(b"half")[:-cut]) for cut in range(1, 10))


def test_what_is_fed_to_the_reader_keeps_the_rest_there() -> None:
    guard = Guard(Sink(), Clock())
    guard.direct = True
    guard.feed_data(frame(2, b"x"))
    assert not guard.direct


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(bytes([0x82, 0xFF]) + (2**62).to_bytes(8) + bytes(4), 1009, id="attack-66 2^62 bytes said"),
        pytest.param(frame(2, bytes(FRAME_LIMIT + 1)), 1009, id="attack-66 a byte more than the limit"),
        pytest.param(bytes([0xC2, 0xFE, 0xFF, 0xFF]) + bytes(4), 1002, id="attack-67 a compressed frame"),
        pytest.param(bytes([0xA2, 0x80]) + bytes(4), 1002, id="attack-69 another reserved bit"),
        pytest.param(frame(3, b"x"), 1002, id="attack-69 a reserved opcode"),
        pytest.param(frame(9, b"x" * 126), 1002, id="attack-69 a long ping"),
        pytest.param(frame(9, b"x", fin=False), 1002, id="attack-69 a ping in pieces"),
        pytest.param(frame(8, b"\x03"), 1002, id="attack-69 half a close code"),
    ],
)
async def test_what_the_reader_behind_it_closes(data: bytes, code: int) -> None:
    """The library's reader, set as the gateway sets it: it says so at the head, and keeps nothing of what was to come."""
    queue = WebSocketDataQueue(BaseProtocol(asyncio.get_running_loop()), 2**16, loop=asyncio.get_running_loop())
    guard = Guard(WebSocketReader(queue, FRAME_LIMIT + 1, False, decode_text=False), Clock())
    ended, rest = guard.feed_data(data)
    fault = guard.fault.code if guard.fault else getattr(queue.exception(), "code", None)
    assert (ended, rest, fault) == (True, b"", code)
    assert queue._size == 0
