"""Second readings, from the standards alone: slow, obvious, and sharing nothing with the code that they are held against."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgpack


def message_pack(data: bytes) -> Any:
    """What the msgpack library reads, where it would write it the same; raises ValueError else."""
    try:
        value = msgpack.unpackb(data, raw=False, use_list=True, strict_map_key=False, timestamp=0)
    except Exception as error:  # the library has a dozen
        raise ValueError(str(error)) from None
    if msgpack.packb(value, use_bin_type=True) != data:
        raise ValueError("not what the library writes")
    return value


def note(data: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """C2SP signed-note: text, and (name, key id and signature) of each line; raises ValueError."""
    text = data.decode("utf-8")
    if any((ord(c) < 32 and c != "\n") or ord(c) == 127 for c in text):
        raise ValueError("control character")
    at = text.rfind("\n\n")
    if at < 0 or not text.endswith("\n"):
        raise ValueError("no signatures")
    body, lines = text[: at + 1], text[at + 2 :].split("\n")[:-1]
    if not lines:
        raise ValueError("no signatures")
    found = []
    for line in lines:
        match = re.fullmatch(r"\u2014 ([^ \t\u00a0+]+) ([A-Za-z0-9+/]+={0,2})", line)
        if match is None or any(c.isspace() for c in match[1]):
            raise ValueError("no signature line")
        raw = base64.b64decode(match[2], validate=True)
        if len(raw) < 5 or base64.b64encode(raw).decode() != match[2]:
            raise ValueError("no signature")
        found.append((match[1], raw))
    return body, found


def bundle(data: bytes, width: int) -> list[bytes]:
    """C2SP tlog-tiles: `width` entries, each behind its length in two bytes, and nothing else; raises ValueError."""
    found = []
    while data:
        length = int.from_bytes(data[:2])
        if len(data) < 2 + length:
            raise ValueError("cut")
        found.append(data[2 : 2 + length])
        data = data[2 + length :]
    if len(found) != width:
        raise ValueError("another number of entries")
    return found


def tile_path(path: str) -> tuple[str, int, int]:
    """C2SP tlog-tiles: (level or `entries`, N, width) of a path; raises ValueError."""
    match = re.fullmatch(
        r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", path, re.ASCII
    )
    if match is None:
        raise ValueError("no path")
    digits = match[2].replace("x", "").replace("/", "")
    if match[2].startswith("x000/"):
        raise ValueError("a group that says nothing")
    if match[1] != "entries" and int(match[1]) > 63:
        raise ValueError("no such level")
    width = int(match[3] or 256)
    if match[3] and width > 255:
        raise ValueError("no partial one")
    return match[1], int(digits), width


def frames(data: bytes) -> list[tuple[int, int]]:
    """RFC 6455 section 5.2: (first byte, payload length) of each whole frame header in a stream of masked frames; ends where one has
    no mask."""
    found = []
    while len(data) >= 2:
        length, extra = data[1] & 127, {126: 2, 127: 8}.get(data[1] & 127, 0)
        masked = bool(data[1] & 128)
        if len(data) < 2 + extra + 4 * masked:
            break
        if extra:
            length = int.from_bytes(data[2 : 2 + extra])
        found.append((data[0], length if masked else -1))
        if not masked:
            break
        data = data[2 + extra + 4 + length :]
    return found
