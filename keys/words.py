"""The words to an answer: for officers' devices alone, though the answer itself is for everybody who counts it.

    words = [franking tag, sealed(salt[16] ‖ text)]        in the body of the ACK that they belong to

They are sealed as `keys.sealing` has it, bound to what is answered and to the device that answers, so that nobody can pass them off
with an answer of his own. The franking tag stands outside and is signed with the ACK: all officers read the same text or none, and
one of them can show later what was said.
"""

from collections.abc import Sequence
from typing import Final

from keys.canonical import Hash, Record
from keys.errors import Malformed
from keys.franking import SALT_LENGTH, franking_tag, open_application_data
from keys.identity import Random, SigningKey
from keys.sealing import Sealed, open_for, seal_for

WORDS_LIMIT: Final = 4_000  # bytes of UTF-8
_PURPOSE: Final = "words to an answer"


class Words(Record, frozen=True, array_like=True):
    """Words that only their readers can open, and the tag that says which they are."""

    tag: Hash
    sealed: Sealed


def seal_words(text: str, readers: Sequence[bytes], root: bytes, device: bytes, random: Random) -> Words:
    """Seal the words of `device` to its answer to `root`, for the holders of these Ed25519 keys. Raises Malformed: they are too
    long, or there are too many readers."""
    data = text.encode()
    if len(data) > WORDS_LIMIT:
        raise Malformed(f"the words to an answer have at most {WORDS_LIMIT} bytes")
    salt = random(SALT_LENGTH)
    return Words(franking_tag(salt, data), seal_for(readers, _PURPOSE, root + device, salt + data, random))


def open_words(words: Words, key: SigningKey, root: bytes, device: bytes) -> str:
    """The text, for one of the readers.

    Raises:
        NotTrusted: not for this key, or not with this answer of this device.
        BadSignature: not the text that the tag commits to.
        Malformed: no text.
    """
    data = open_application_data(open_for(key, _PURPOSE, root + device, words.sealed), words.tag)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("words that are no text") from None
