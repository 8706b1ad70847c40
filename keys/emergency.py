"""SOS and check-ins: what of them the gateway may read, the word that shows that nobody is forced, and when a check-in is due.

    SOS            an MLS PrivateMessage; its header hash names it from then on
    STAND_DOWN     StandDown: its author asks that it end, then a second person confirms that very request. Nothing else ends it
    CHECK_IN_PLAN  Plan: when this device will check in; an empty one ends the plan before it
    CHECK_IN       an MLS PrivateMessage of one size, whatever it says

The no-duress word is one for the mission. It is never sent: a device sends `answer`, keyed with a fresh nonce, inside the
encryption, and who may confirm holds `digest`, not the word. A wrong word has the same size, takes the same time and looks the
same; only they are told.
"""

import hmac
import unicodedata
from collections.abc import Sequence
from enum import IntEnum
from hashlib import scrypt, sha256
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta

from keys.canonical import Hash, Id, Millis, Positive, Record, Uint, reader
from keys.errors import Malformed
from keys.ladder import APP, SHORTEST, Ladder, Rung, Stop

MINUTE: Final = 60_000  # ms
GRACE_LEAST: Final = 5  # s
GRACE_MOST: Final = 3_600  # s
LEGS: Final = 96
HORIZON: Final = 48 * 60 * MINUTE
"""The last check-in of a plan is due within this time."""

ROADS_AFTER: Final = 60  # s between an SOS and its going by other roads
REPEAT: Final = 300  # s between the last road and everybody once more
ROADS: Final = 15


class Request(Record, frozen=True, array_like=True):
    """A STAND_DOWN by its place in the channel and its header hash."""

    seq: Positive
    header_hash: Hash


class StandDown(Record, frozen=True, array_like=True):
    """Without a request: the author of this SOS asks that it end. With it: another person confirms that request."""

    sos: Hash  # header hash of the SOS
    confirms: Request | None


class Plan(Record, frozen=True, array_like=True):
    """When this device will check in (ms), and how many seconds after each it is missed. Empty, it ends the plan before it.

    Each gap is longer than twice the grace, so a check-in belongs to one of them. `salt`, 16 random bytes, keeps who reads the log,
    where the body's hash stands, from trying all times.
    """

    due: Annotated[list[Millis], Meta(max_length=LEGS)]
    grace: Annotated[int, Meta(ge=0, le=GRACE_MOST)]
    salt: Id

    @property
    def ends(self) -> bool:
        return not self.due


def due_after(at: int, due: Sequence[int], grace: int) -> int | None:
    """What is due next once somebody has checked in at `at` (ms): a check-in counts up to a grace (s) before its time."""
    return next((time for time in due if time > at + grace * 1000), None)


class CaseKind(IntEnum):
    SOS = 1
    MOVE = 2


class Case(Record, frozen=True, array_like=True):
    """What a gateway keeps of an SOS or a plan while it is open: whose, where, and how it wakes. It is never sent."""

    kind: CaseKind
    channel: Id
    device: Id
    due: list[Millis]
    grace: Uint
    repeat: Positive  # s


read_stand_down = reader(StandDown, limit=256)
_read_plan = reader(Plan, limit=2_048)
read_case = reader(Case, limit=4_096)


def read_plan(data: bytes) -> Plan:
    """Read a plan.

    Raises:
        Malformed: it is none, its times do not rise by more than twice the grace, or it has no grace.
    """
    plan = _read_plan(data)
    if plan.ends:
        if plan.grace:
            raise Malformed("where nothing is due there is no grace")
        return plan
    if plan.grace < GRACE_LEAST:
        raise Malformed(f"the grace is {GRACE_LEAST} s at least")
    if any(b - a <= 2 * plan.grace * 1000 for a, b in pairwise(plan.due)):
        raise Malformed("between two check-ins lies more than twice the grace")
    return plan


def ladder(roads: tuple[str, ...], after: int = ROADS_AFTER) -> Ladder:
    """How an SOS wakes: by the platform at once, then by every other road. It stops at the first answer and begins again."""
    rungs = [Rung(SHORTEST, APP, [])]
    rungs += [Rung(after if n == 0 else SHORTEST, road, []) for n, road in enumerate(roads[:ROADS])]
    return Ladder(rungs, Stop.ANY, 0, None)


# --- the word ---


def digest(word: str, mission: bytes) -> bytes:
    """What a device keeps of the mission's word: 32 bytes that cost 40 ms a guess. `mission` is its control channel's id.

    Letters large or small, blanks and the form of accents make no difference: it is said under fire.
    """
    plain = "".join(unicodedata.normalize("NFKC", word).casefold().split())
    salt = sha256(b"Outrider 1 no-duress word" + mission).digest()
    return scrypt(plain.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def answer(digested: bytes, nonce: bytes, subject: bytes) -> bytes:
    """The word as it travels inside the encryption: good for this SOS or plan and this nonce alone."""
    return hmac.digest(digested, b"Outrider 1 no-duress answer" + nonce + subject, "sha256")


def is_answer(given: bytes, digested: bytes, nonce: bytes, subject: bytes) -> bool:
    """Whether the word was right."""
    return hmac.compare_digest(given, answer(digested, nonce, subject))
