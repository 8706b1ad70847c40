"""The search for what must not be there: every plaintext, in every plain coat it might wear, in files and recorded frames.

A search that finds nothing proves nothing unless it could have found something: so the same pass looks for a planted control
(a channel id, which the gateway does know), and that must be found.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SHORTEST = 4  # characters: what is shorter stands in random bytes by chance


@dataclass(frozen=True, slots=True)
class Hit:
    """A plaintext found: where, at which byte, in which coat."""

    path: Path
    offset: int
    coat: str
    text: str


def coats(plain: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes themselves, in hex of both cases, and in base64 at each of its three alignments."""
    yield "plain", plain
    yield "hex", plain.hex().encode()
    yield "HEX", plain.hex().upper().encode()
    for shift in range(3):
        # Characters that also hold bits of a neighbour are cut off: what is left stands there whatever the neighbours are.
        encoded = b64encode(bytes(shift) + plain)
        inside = encoded[(shift * 8 + 5) // 6 : (shift + len(plain)) * 8 // 6]
        yield f"base64+{shift}", inside
        yield f"base64url+{shift}", inside.translate(bytes.maketrans(b"+/", b"-_"))


def needles(text: str) -> Iterator[tuple[str, bytes]]:
    """All forms of a text that the search looks for.

    Raises:
        ValueError: the text is too short to mean anything when found.
    """
    if len(text) < SHORTEST:
        raise ValueError(f"{text!r} is too short to search for")
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        for coat, needle in coats(text.encode(encoding)):
            yield f"{encoding} {coat}", needle


def files(roots: Iterable[Path]) -> list[Path]:
    """Every file below these folders (or the file itself)."""
    return sorted(p for root in roots for p in ([root] if root.is_file() else root.rglob("*")) if p.is_file())


def search(roots: Iterable[Path], texts: Iterable[str]) -> list[Hit]:
    """Every place where one of these texts stands, in any coat."""
    wanted = [(text, coat, needle) for text in dict.fromkeys(texts) for coat, needle in needles(text)]
    hits = []
    for path in files(roots):
        data = path.read_bytes()
        for text, coat, needle in wanted:
            offset = data.find(needle)
            if offset >= 0:
                hits.append(Hit(path, offset, coat, text))
    return hits


def contains(roots: Iterable[Path], data: bytes) -> bool:
    """Whether the control, raw bytes that the gateway does know, is found by the same reading of the same files."""
    return any(data in path.read_bytes() for path in files(roots))
