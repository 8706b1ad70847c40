"""Entry bundles: up to 256 entries, each uint16 length || bytes (c2sp.org/tlog-tiles, "Log entries").

No count, no header, no padding: a reader has to know from the tree's size how many there are, and refuses a stray byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keys.tlog.errors import Malformed, TooLarge
from keys.tlog.tile import WIDTH

MAX_ENTRY: Final = 65_535
MAX_BUNDLE: Final = WIDTH * (2 + MAX_ENTRY)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries one after another; raises TooLarge where one is over 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise TooLarge(f"an entry of {len(entry)} bytes, over {MAX_ENTRY}")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """The `width` entries of a bundle; raises Malformed unless they fill it exactly."""
    entries, rest = split_bundle(data, width)
    if len(entries) < width:
        raise Malformed(f"bundle of {width} entries ends in entry {len(entries)}")
    if rest:
        raise Malformed(f"{rest} bytes after the last entry of a bundle")
    return entries


def split_bundle(data: bytes, width: int) -> tuple[list[bytes], int]:
    """As many of `width` entries as are whole, and the count of bytes left over. Never raises: for naming damage."""
    if not 1 <= width <= WIDTH:
        raise Malformed(f"no bundle has {width} entries")
    entries: list[bytes] = []
    start, end = 0, len(data)
    for _ in range(width):
        first = start + 2
        if first > end:
            break
        stop = first + (data[start] << 8 | data[start + 1])
        if stop > end:
            break
        entries.append(data[first:stop])
        start = stop
    return entries, end - start
