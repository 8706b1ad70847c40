"""Frames as a server sends them: whole, binary, unmasked (RFC 6455 section 5.2); and deliveries in as few of them as hold them.

Deliveries are framed once and the same bytes go to everybody; so they pass the library's writer by, which does no more than
this. Control frames are left to the library.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway import wire
from gateway.core.answers import placed
from gateway.core.lane import page_of
from gateway.core.page import Page
from gateway.core.rows import Stored
from keys.canonical import encode

TOGETHER: Final = wire.FRAME_LIMIT - 16  # bytes of deliveries in one frame
_BINARY: Final = 0x82  # FIN and opcode 2


def server_frame(payload: bytes) -> bytes:
    """The frame around a message."""
    return server_head(len(payload)) + payload


def server_head(length: int) -> bytes:
    """What stands before a message of so many bytes."""
    if length < 126:
        return bytes((_BINARY, length))
    if length < 65_536:
        return bytes((_BINARY, 126)) + length.to_bytes(2, "big")
    return bytes((_BINARY, 127)) + length.to_bytes(8, "big")


def frames_of(envelopes: Sequence[Stored], *, body: bool) -> bytes:
    """New envelopes of one stream, all of them with their bodies or none: the same for everybody. Nearly always they fit one frame, and
    need no page."""
    each = [encode(placed(stored, body=body)) for stored in envelopes]
    size = sum(map(len, each))
    if len(each) <= wire.LIST_LIMIT and size <= TOGETHER:
        return _framed(each, size)
    page = page_of(envelopes[0].channel, envelopes)
    return b"".join(deliver_frames([page if body else page.bare()]))


def deliver_frames(drawn: Sequence[Page], *, alone: bool = False) -> Iterator[bytes]:
    """Deliveries to one device in as few frames as hold them; or, on a narrow link, each in its own, so that what is urgent waits for
    one."""
    most = 1 if alone else wire.LIST_LIMIT
    together: list[bytes] = []
    size = 0
    for page in drawn:
        start = 0
        while start < len(page):
            end = page.fitting(start, most - len(together), TOGETHER - size)
            if end == start and together:  # the frame is full
                yield _framed(together, size)
                together, size = [], 0
                continue
            end = max(end, start + 1)  # one goes in any case
            together += page.placed[start:end]
            size += page.size_of(start, end)
            start = end
    if together:
        yield _framed(together, size)


def _framed(together: Sequence[bytes], size: int) -> bytes:
    head = wire.deliver_head(len(together))
    return b"".join((server_head(len(head) + size), head, *together))
