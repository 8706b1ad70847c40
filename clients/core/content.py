"""What people say to each other, inside the encryption: one tagged record a form, each in its only encoding.

    Text          a message
    Cards         who is who: registrar-signed cards (keys.authority.Card), the sender's own or those of a channel's members
    Purpose       what a channel is for
    AlertContent  a CAP document in its original bytes, what its answers mean, and what opens it under its root
    AckText       free words to an answer
    SeenLog       the log's checkpoint that its author holds, where one member was shown another log than the next

and in the desk channel, among officers:

    DraftContent  a frozen alert that waits for its approval: everything to show, check and seal
    DraftVoid     its writer has taken it back
    JumpReason    why an officer jumped to a rung of a ladder, or what a review has found
    TemplatePage  a template of the mission's playbook

and in alert channels, by anybody in danger or on the road:

    SosContent    a call for help, with where its author is
    CheckIn       "I am there", with an answer to the challenge; all have one size
    PlanPage      what the legs of a check-in plan are called
    NoDuress      what those who may stand down an SOS compare the mission's word with

MLS seals salt[16] ‖ content, padded to multiples of `PADDING` bytes (ARCHITECTURE section 5), so lengths tell little.
"""

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta, Struct

from keys.alert import OPTIONS, TARGETS, Draft, Signing
from keys.body import LadderOpening
from keys.canonical import Hash, Id, Millis, Record, encode, reader
from keys.emergency import LEGS
from keys.envelope import Marking, Precedence

PADDING: Final = 128
TEXT_LIMIT: Final = 16_000  # characters
CAP_LIMIT: Final = 1024 * 1024  # bytes, as `alert check` takes
TEMPLATE_LIMIT: Final = 16 * 1024
NOTE_LIMIT: Final = 64 * 1024
CONTENT_LIMIT: Final = 2 * 1024 * 1024
Options = Annotated[list[Annotated[int, Meta(ge=1, le=255)]], Meta(max_length=OPTIONS)]
Reason = Annotated[str, Meta(max_length=400)]


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
    """An alert, the same for every channel. `options[n]` is the number that answers with the document's n-th response option:
    a fresh choice of numbers for each alert, so that an answer's number says nothing to the gateway. `salt` opens the
    draft's commitment to the document. `reason` says why one officer sent it alone, and is empty for two."""

    cap: Annotated[bytes, Meta(max_length=CAP_LIMIT)]
    salt: Id
    options: Options
    reason: Reason


class AckText(Form, frozen=True, tag=5):
    """Words to an answer that was given by number."""

    root: Hash
    text: Annotated[str, Meta(max_length=TEXT_LIMIT)]


class Target(Record, frozen=True, array_like=True):
    """A channel that a draft is for, and the two salts of its own: of its content's franking tag and of its leaf."""

    channel: Id
    content: Id
    leaf: Id


class DraftContent(Form, frozen=True, tag=6):
    """An alert as it was frozen: any change of it is another draft. `targets` and `padding` make up its audience, `release`
    says why people of other organisations may have it."""

    draft: Draft
    alert: AlertContent
    targets: Annotated[list[Target], Meta(min_length=1, max_length=TARGETS)]
    padding: Annotated[list[Hash], Meta(max_length=TARGETS)]
    ladder: LadderOpening | None
    marking: Marking
    precedence: Precedence
    release: Reason
    writer: Signing


class DraftVoid(Form, frozen=True, tag=7):
    """This draft is not to be approved any more."""

    root: Hash


class JumpReason(Form, frozen=True, tag=8):
    """What the hash in a JUMP or a REVIEW stands for."""

    root: Hash
    salt: Id
    text: Reason


class TemplatePage(Form, frozen=True, tag=9):
    """A version of a template, as its file (clients.core.template_file)."""

    source: Annotated[bytes, Meta(min_length=1, max_length=TEMPLATE_LIMIT)]


class Position(Record, frozen=True, array_like=True):
    """WGS 84 in millionths of a degree from the south pole and the antimeridian (so that no number is below zero), how
    precise it is (m), and how old it was when it was sent (s)."""

    latitude: Annotated[int, Meta(ge=0, le=180_000_000)]
    longitude: Annotated[int, Meta(ge=0, le=360_000_000)]
    precision: Annotated[int, Meta(ge=1, le=1_000_000)]
    age: Annotated[int, Meta(ge=0, le=86_400)]

    @classmethod
    def of(cls, latitude: float, longitude: float, precision: int, age: int) -> "Position":
        """From degrees, north and east positive."""
        return cls(round((latitude + 90) * 1e6), round((longitude + 180) * 1e6), precision, age)

    @property
    def degrees(self) -> tuple[float, float]:
        return round(self.latitude / 1e6 - 90, 6), round(self.longitude / 1e6 - 180, 6)


class SosContent(Form, frozen=True, tag=10):
    """A call for help. Without a position none was known."""

    text: Annotated[str, Meta(max_length=400)]
    position: Position | None
    composed: Millis


class CheckIn(Form, frozen=True, tag=11):
    """Whoever sits at the device gives the mission's word (`keys.emergency.answer`). `subject` is the header hash of an SOS that
    is to end, or zeros for the device's check-in plan."""

    subject: Hash
    nonce: Id
    proof: Hash


class PlanPage(Form, frozen=True, tag=12):
    """The names of a plan's legs; `due` says which plan."""

    route: Annotated[str, Meta(max_length=100)]
    legs: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=LEGS)]
    due: Annotated[list[Millis], Meta(max_length=LEGS)]


class NoDuress(Form, frozen=True, tag=13):
    """The digest of the mission's word (`keys.emergency.digest`). Who may not stand down an SOS drops it."""

    digest: Hash


class SeenLog(Form, frozen=True, tag=14):
    """A checkpoint as the log's key has signed it: two that contradict each other convict it."""

    note: Annotated[bytes, Meta(max_length=NOTE_LIMIT)]


Content = (
    Text
    | Cards
    | Purpose
    | AlertContent
    | AckText
    | DraftContent
    | DraftVoid
    | JumpReason
    | TemplatePage
    | SosContent
    | CheckIn
    | PlanPage
    | NoDuress
    | SeenLog
)

read_content: Callable[[bytes], Content] = reader(Content, limit=CONTENT_LIMIT)  # type: ignore[arg-type]
"""The content that these bytes are; raises `keys.errors.Malformed`."""


def encode_content(content: Content) -> bytes:
    """Its bytes, as the franking tag commits to them."""
    return encode(content)
