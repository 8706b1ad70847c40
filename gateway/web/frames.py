"""A WebSocket frame as a server sends it: whole, binary, unmasked (RFC 6455 section 5.2).

Deliveries are framed once and the same bytes go to everybody; so they pass the library's writer by, which does no more than
this. The other way, a device's short messages that call for no answer are taken here: after a broadcast they come from everybody at
once. Control frames, and all that is longer or in pieces, are left to the library.
"""

from typing import Final

_BINARY: Final = 0x82  # FIN and opcode 2
_MASKED: Final = 0x80
_SHORT: Final = 126  # from here on the length stands in further bytes


def server_frame(payload: bytes) -> bytes:
    """The frame around a message."""
    length = len(payload)
    if length < 126:
        return bytes((_BINARY, length)) + payload
    if length < 65_536:
        return bytes((_BINARY, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_BINARY, 127)) + length.to_bytes(8, "big") + payload


def short_messages(data: bytes) -> list[bytes] | None:
    """The messages in `data`, if it is nothing but whole, masked frames of less than 126 bytes each; None for all else."""
    found = []
    at, end = 0, len(data)
    while at < end:
        if end - at < 6 or data[at] != _BINARY:
            return None
        size = data[at + 1] ^ _MASKED
        start = at + 6
        at = start + size
        if size >= _SHORT or at > end:
            return None
        mask = (data[start - 4 : start] * 32)[:size]
        found.append((int.from_bytes(data[start:at]) ^ int.from_bytes(mask)).to_bytes(size))
    return found
