"""A bundle's leaves read all at once, column by column: entries, their headers, the headers' contexts.

The same strictness as `keys.envelope.read`, for a third of the time: each leaf, header and context is decoded whole by itself, so
nothing is left over behind one; then a column is encoded in one go and compared with what was read. Each of its values is one
msgpack array, and such arrays laid end to end come apart in one way only, so the column is equal where each of its values is.

Where anything in a bundle is not in its one encoding, `columns` says so by None, and the leaves are read one by one.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from msgspec import MsgspecError
from msgspec.msgpack import Decoder, Encoder

from keys.envelope import Context, Entry, Header

T = TypeVar("T")

_entry: Final = Decoder(Entry).decode
_header: Final = Decoder(Header).decode
_context: Final = Decoder(Context).decode
_encode: Final = Encoder().encode

SHORT: Final = 15  # values of an array whose header has one byte; up to 65,535 it has three


def columns(leaves: Sequence[bytes]) -> tuple[list[Entry], list[Context]] | None:
    """Entries and contexts of these leaves (at most 256); None where one of them is not in its one encoding."""
    entries = _column(_entry, leaves)
    if entries is None:
        return None
    headers = _column(_header, [entry.header for entry in entries])
    if headers is None:
        return None
    contexts = _column(_context, [header.context for header in headers])
    return None if contexts is None else (entries, contexts)


def _column(decode: Callable[[bytes], T], raw: Sequence[bytes]) -> list[T] | None:
    try:
        values = list(map(decode, raw))
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    array_header = 1 if len(values) <= SHORT else 3
    return values if _encode(values)[array_header:] == b"".join(raw) else None
