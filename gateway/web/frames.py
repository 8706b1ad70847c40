"""Frames as a server sends them: whole, binary, unmasked (RFC 6455 section 5.2); and deliveries in as few of them as hold them.

Deliveries are framed once and the same bytes go to everybody; so they pass the library's writer by, which does no more than
this. Control frames are left to the library.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gateway import wire
from gateway.core.answers import placed
from gateway.core.feed import Recipient
from gateway.core.view import Stored
from keys.canonical import encode

TOGETHER: Final = 60 * 1024  # bytes of deliveries in one frame
_PLACING: Final = 80  # bytes of a delivery's channel, place and framing at most
_BINARY: Final = 0x82  # FIN and opcode 2


def server_frame(payload: bytes) -> bytes:
    """The frame around a message."""
    length = len(payload)
    if length < 126:
        return bytes((_BINARY, length)) + payload
    if length < 65_536:
        return bytes((_BINARY, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_BINARY, 127)) + length.to_bytes(8, "big") + payload


def frames_of(envelopes: Sequence[Stored], *, body: bool) -> bytes:
    """New envelopes, all of them with their bodies or none: the same for everybody."""
    return b"".join(_frames(envelopes, lambda _: body))


def deliver_frames(drawn: Sequence[Stored], recipient: Recipient) -> Iterator[bytes]:
    """Deliveries to one device; on a narrow link each in a frame of its own, so that what is urgent waits for one."""
    carried, own = recipient.carried, recipient.device

    def with_body(stored: Stored) -> bool:  # as `core.feed.with_body`, ten thousand times in a backlog
        return stored.body_length <= carried and stored.device != own

    return _frames(drawn, with_body, alone=recipient.narrow)


def _frames(
    envelopes: Sequence[Stored], with_body: Callable[[Stored], bool], *, alone: bool = False
) -> Iterator[bytes]:
    together: list[wire.Placed] = []
    room = TOGETHER
    for stored in envelopes:
        body = with_body(stored)
        size = len(stored.header) + len(stored.signature) + _PLACING + (stored.body_length if body else 0)
        if together and (alone or size > room):
            yield _together(together)
            together, room = [], TOGETHER
        together.append(placed(stored, body=body))
        room -= size
    if together:
        yield _together(together)


def _together(some: list[wire.Placed]) -> bytes:
    return server_frame(encode(wire.Deliver(some[0]) if len(some) == 1 else wire.Deliveries(some)))
