"""A watch over the raw bytes of a WebSocket, before the library's reader sees them.

aiohttp's reader holds the size of a message and the reserved bits. It takes client frames without a mask, swallows empty
continuation frames for ever and passes any number of pings on (ATTACKS section 3); it does not say when a frame began. So
the guard reads the same frame headers and refuses what the reader lets by:

    no mask                              1002   RFC 6455 section 5.1
    more than 64 frames in a message     1008
    more than 100 control frames in 10 s 1008

and it knows since when a message has been incomplete, for who sweeps away those that take longer than 15 s. Everything else is
the reader's concern.

A short message in one whole frame, which nearly all are, needs no reader: as long as the session takes it at once (`direct`), it is
unmasked here and handed over, and costs no queue and no turn of a task. Whatever is not taken so, and all that comes behind it,
goes to the reader, so the order stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

FRAGMENTS: Final = 64
CONTROL_FRAMES: Final = 100
CONTROL_WINDOW: Final = 10.0  # s

PROTOCOL_ERROR: Final = 1002
POLICY_VIOLATION: Final = 1008

SHORT: Final = 4_096  # bytes of a message that is handed over at once

_FIN: Final = 0x80
_WHOLE: Final = 0x82  # a binary message in one frame
_MASK: Final = 0x80
_CONTROL: Final = 0x08
_MASK_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a connection is closed: the WebSocket close code, and a word for the log."""

    code: int
    reason: str


class Reader(Protocol):
    """What stands behind the guard: aiohttp's WebSocketReader."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]: ...
    def feed_eof(self) -> None: ...


class Guard:
    """One connection's watch. After the first fault nothing passes any more."""

    __slots__ = (
        "_clock",
        "_controls",
        "_controls_since",
        "_fragments",
        "_head",
        "_reader",
        "_skip",
        "begun",
        "direct",
        "fault",
        "on_fault",
        "on_message",
    )

    def __init__(self, reader: Reader, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._clock = clock
        self._head = b""  # an incomplete frame header
        self._skip = 0  # payload bytes of the present frame that are still to come
        self._fragments = 0  # frames of the present message, 0 between messages
        self._controls = 0
        self._controls_since = clock()
        self.begun: float | None = None
        """Since when a message has been incomplete."""
        self.fault: Fault | None = None
        self.on_fault: Callable[[Fault], None] | None = None
        self.on_message: Callable[[bytes], bool] = lambda _: False
        """Takes a whole message at once, or says that it does not."""
        self.direct = False
        """Whether all that came before has been taken, so that the next message may be handed over."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Look at bytes from the wire and pass them on; (True, b"") ends the connection."""
        if self.fault is None:
            self.direct = False
            self.fault = self._look(data)
            if self.fault is None:
                return self._reader.feed_data(data)
            if self.on_fault is not None:
                self.on_fault(self.fault)
        return True, b""

    def feed_eof(self) -> None:
        """The connection has ended."""
        self._reader.feed_eof()

    def hand_over(self, data: bytes) -> bytes:
        """Hand over the short whole messages that stand at the beginning, as long as they are taken; gives the rest, which is to be
        fed. Only while `direct`: then `data` begins a message."""
        at, end = 0, len(data)
        while at + 8 <= end and data[at] == _WHOLE:
            length, start = data[at + 1] - _MASK, at + 6
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4]), at + 8
                if length < 126:  # a second way to write it
                    break
            elif length > 126:
                break
            stop = start + length
            if not 0 <= length <= SHORT or stop > end:
                break
            if not self.on_message(_unmasked(data[start - _MASK_LENGTH : start], data[start:stop])):
                break
            at = stop
        return data[at:] if at else data

    def _look(self, data: bytes) -> Fault | None:
        at, end = 0, len(data)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                continue
            head = self._head + data[at : at + 14]
            length = _head_length(head)
            if length is None or len(head) < length:
                self._head = head
                break
            at += length - len(self._head)
            self._head = b""
            self._skip = _payload_length(head)
            fault = self._judge(head[0], head[1])
            if fault is not None:
                return fault
        whole = not (self._skip or self._head or self._fragments)
        if whole:
            self.begun = None
        elif self.begun is None:
            self.begun = self._clock()
        return None

    def _judge(self, first: int, second: int) -> Fault | None:
        if not second & _MASK:
            return Fault(PROTOCOL_ERROR, "frame without a mask")
        if first & _CONTROL:
            return self._count_control()
        self._fragments += 1
        if self._fragments > FRAGMENTS:
            return Fault(POLICY_VIOLATION, f"more than {FRAGMENTS} frames in a message")
        if first & _FIN:
            self._fragments = 0
        return None

    def _count_control(self) -> Fault | None:
        now = self._clock()
        if now - self._controls_since > CONTROL_WINDOW:
            self._controls, self._controls_since = 0, now
        self._controls += 1
        if self._controls > CONTROL_FRAMES:
            return Fault(POLICY_VIOLATION, f"more than {CONTROL_FRAMES} control frames in {CONTROL_WINDOW:.0f} s")
        return None


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    """RFC 6455 section 5.3, a whole payload at once."""
    size = len(payload)
    long_mask = (mask * (size // _MASK_LENGTH + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(long_mask)).to_bytes(size)


def _head_length(head: bytes) -> int | None:
    """How long this frame's header is; None while that can't be told (RFC 6455 section 5.2)."""
    if len(head) < 2:
        return None
    extended = {126: 2, 127: 8}.get(head[1] & 0x7F, 0)
    return 2 + extended + (_MASK_LENGTH if head[1] & _MASK else 0)


def _payload_length(head: bytes) -> int:
    short = head[1] & 0x7F
    if short < 126:
        return short
    return int.from_bytes(head[2 : 4 if short == 126 else 10], "big")
