"""Where the log keeps the bodies of receipts: beside the entries, cut like their bundles.

    receipts/<N>[.p/<W>]     for each of the W entries of bundle N: uint16 length || body, of length 0 where it is no receipt

A receipt holds no content, and an auditor needs all of them: who had what, and since when. There are about as many as messages, so they are
not files of their own like other published bodies. A bundle without a receipt has no file. Nothing signs these files: each body is the one that its
entry's header names, or it is not taken.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from keys.tlog.entry import encode_bundle
from keys.tlog.errors import Malformed
from keys.tlog.tile import Bundle, bundles, parse_path

_ENTRIES: Final = "tile/entries/"
_RECEIPTS: Final = "receipts/"
_EMPTY: Final = re.compile(rb"(?:\x00\x00)+")  # lengths of 0, one after another


def receipts_path(bundle: Bundle) -> str:
    """`receipts/<N>[.p/<W>]` of an entry bundle."""
    return _RECEIPTS + bundle.path.removeprefix(_ENTRIES)


def parse_receipts_path(path: str) -> Bundle:
    """The bundle whose receipts a path names; raises keys.tlog.errors.Malformed on all but the one path of each."""
    if not path.startswith(_RECEIPTS):
        raise Malformed("not the path of receipts")
    bundle = parse_path(_ENTRIES + path.removeprefix(_RECEIPTS))
    assert isinstance(bundle, Bundle)  # by its prefix
    return bundle


def receipt_files(bodies: Mapping[int, bytes], since: int, size: int) -> Iterator[tuple[str, bytes]]:
    """The files that a log of `size` entries has and one of `since` has not, from the receipts' bodies by log index."""
    for bundle in bundles(size, since):
        places: Iterable[int] = range(bundle.start, bundle.start + bundle.width)
        found = [bodies.get(index, b"") for index in places]
        if any(found):
            yield receipts_path(bundle), encode_bundle(found)


def decode_receipts(data: bytes, width: int) -> list[bytes]:
    """The `width` bodies of a file of receipts, as `keys.tlog.entry.decode_bundle` has them, with the many empty ones at a stroke.
    Raises keys.tlog.errors.Malformed."""
    bodies: list[bytes] = []
    start, end = 0, len(data)
    while len(bodies) < width and start < end:
        empty = _EMPTY.match(data, start)
        if empty is not None:
            run = min(len(empty.group()) // 2, width - len(bodies))
            bodies += [b""] * run
            start += 2 * run
            continue
        stop = start + 2 + int.from_bytes(data[start : start + 2], "big")
        if start + 2 > end or stop > end:
            break
        bodies.append(data[start + 2 : stop])
        start = stop
    if len(bodies) < width or start != end:
        raise Malformed(f"not a file of {width} receipts: {len(bodies)} are whole, {end - start} bytes are left")
    return bodies
