"""The two key slots of a profile, and the side area that either of them opens.

Every profile has both slots and the area from its creation, each of one size. A slot is `nonce ‖ ChaCha20-Poly1305(which, key of the
vault, key of the side)` under what Argon2id makes of a passphrase; the slot that nobody uses is random bytes. Which of the two is
the person's own is decided by chance. Both are tried each time, so neither the file nor the time says whether a second passphrase
was ever set, or which was given.

The side is shelves of their own, small enough to be kept in memory and written whole: what a device needs to say that it was
unlocked, and the decoy. Padded to one size and sealed anew with each write.
"""

import os
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta

from keys.canonical import Record, encode, reader
from keys.errors import Malformed

KEY: Final = 32
NONCE: Final = 12
SLOT: Final = NONCE + 1 + 2 * KEY + 16
SIDE: Final = 512 * 1024  # bytes of the file, whatever it holds
ROOM: Final = SIDE - NONCE - 16 - 4
_OWN, _DURESS = b"\x01", b"\x02"


class Item(Record, frozen=True, array_like=True):
    """A line of the side: a secret where it stands on no shelf."""

    shelf: str
    key: bytes
    value: bytes


class Page(Record, frozen=True, array_like=True):
    items: Annotated[list[Item], Meta(max_length=100_000)]


_read_page = reader(Page, limit=ROOM)


class Keys(Record, frozen=True, array_like=True):
    """What a slot opens. The vault's key is random bytes where it is the duress passphrase's."""

    duress: bool
    vault: bytes
    side: bytes


class SideFull(Exception):
    """More than the side holds."""


def fill(slot_key: bytes, keys: Keys) -> bytes:
    """A slot with these keys."""
    nonce = os.urandom(NONCE)
    plain = (_DURESS + os.urandom(KEY) if keys.duress else _OWN + keys.vault) + keys.side
    return nonce + ChaCha20Poly1305(slot_key).encrypt(nonce, plain, b"Outrider 1 slot")


def blank() -> bytes:
    """A slot that nobody uses."""
    return os.urandom(SLOT)


def find(slot_key: bytes, slots: list[bytes]) -> tuple[int, Keys] | None:
    """Which slot this key opens, and what is in it; every slot is tried, whichever it is."""
    found = None
    for number, slot in enumerate(slots):
        try:
            plain = ChaCha20Poly1305(slot_key).decrypt(slot[:NONCE], slot[NONCE:], b"Outrider 1 slot")
        except InvalidTag:
            continue
        found = number, Keys(plain[:1] == _DURESS, plain[1 : 1 + KEY], plain[1 + KEY :])
    return found


def seal_side(key: bytes, items: list[Item]) -> bytes:
    """The file of these lines. Raises SideFull."""
    plain = encode(Page(items))
    if len(plain) > ROOM:
        raise SideFull(f"{len(plain)} bytes, and there is room for {ROOM}")
    nonce = os.urandom(NONCE)
    padded = len(plain).to_bytes(4, "big") + plain + bytes(ROOM - len(plain))
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, padded, b"Outrider 1 side")


def open_side(key: bytes, data: bytes) -> list[Item]:
    """The lines of a file. Raises InvalidTag or `keys.errors.Malformed` where it is damaged."""
    if len(data) != SIDE:
        raise Malformed(f"{len(data)} bytes, and it always has {SIDE}")
    padded = ChaCha20Poly1305(key).decrypt(data[:NONCE], data[NONCE:], b"Outrider 1 side")
    return _read_page(padded[4 : 4 + int.from_bytes(padded[:4], "big")]).items
