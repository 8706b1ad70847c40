"""A WebSocket frame as a server sends it: whole, binary, unmasked (RFC 6455 section 5.2).

Deliveries are framed once and the same bytes go to everybody; so they pass the library's writer by, which does no more than
this. Control frames are left to the library.
"""

from typing import Final

_BINARY: Final = 0x82  # FIN and opcode 2


def server_frame(payload: bytes) -> bytes:
    """The frame around a message."""
    length = len(payload)
    if length < 126:
        return bytes((_BINARY, length)) + payload
    if length < 65_536:
        return bytes((_BINARY, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_BINARY, 127)) + length.to_bytes(8, "big") + payload
