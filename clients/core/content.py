"""What people say to each other, inside the encryption: one tagged record a form, each in its only encoding.

    Text          a message
    Cards         who is who: registrar-signed cards (keys.authority.Card), the sender's own or those of a channel's members
    Purpose       what a channel is for
    AlertContent  a CAP document in its original bytes, what its answers mean, and what binds it to its root
    AckText       free words to an answer

MLS seals salt[16] ‖ content, padded to multiples of `PADDING` bytes (ARCHITECTURE section 5), so lengths tell little.
"""

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta, Struct

from keys.canonical import Hash, Id, Millis, encode, reader

PADDING: Final = 128
TEXT_LIMIT: Final = 16_000  # characters
CAP_LIMIT: Final = 1024 * 1024  # bytes, as `alert check` takes
CONTENT_LIMIT: Final = 2 * 1024 * 1024
TARGETS: Final = 256  # channels of one alert
OPTIONS: Final = 64


class Form(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A form of content."""


class Text(Form, frozen=True, tag=1):
    """A message; `composed` by the writer's clock, long before it is sealed where there is no link."""

    text: Annotated[str, Meta(max_length=TEXT_LIMIT)]
    composed: Millis
    ask_ack: bool


class Cards(Form, frozen=True, tag=2):
    """Cards as their bytes. A card counts by its registrar's signature, whoever hands it on."""

    cards: Annotated[list[Annotated[bytes, Meta(max_length=2_048)]], Meta(max_length=256)]


class Purpose(Form, frozen=True, tag=3):
    text: Annotated[str, Meta(max_length=400)]


class AlertContent(Form, frozen=True, tag=4):
    """An alert. `options[n]` is the number that answers with the document's n-th response option: a fresh choice of numbers
    for each alert, so that an answer's number says nothing to the gateway. `salt`, `leaf_salt` and `leaves` open the root
    for this channel and tell nothing of the others (clients.core.alerts)."""

    alert: Id
    cap: Annotated[bytes, Meta(max_length=CAP_LIMIT)]
    options: Annotated[list[Annotated[int, Meta(ge=1, le=255)]], Meta(max_length=OPTIONS)]
    reason: Annotated[str, Meta(max_length=400)]
    not_after: Millis
    salt: Id
    leaf_salt: Id
    leaves: Annotated[list[Hash], Meta(min_length=1, max_length=TARGETS)]


class AckText(Form, frozen=True, tag=5):
    """Words to an answer that was given by number."""

    root: Hash
    text: Annotated[str, Meta(max_length=TEXT_LIMIT)]


Content = Text | Cards | Purpose | AlertContent | AckText

read_content: Callable[[bytes], Content] = reader(Content, limit=CONTENT_LIMIT)  # type: ignore[arg-type]
"""The content that these bytes are; raises `keys.errors.Malformed`."""


def encode_content(content: Content) -> bytes:
    """Its bytes, as the franking tag commits to them."""
    return encode(content)
