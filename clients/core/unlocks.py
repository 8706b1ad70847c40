"""That this device was unlocked: told to the officers by either passphrase, in the same form, by what stands in the side alone.

    refresh   from an opened profile: who this device is, the charter, and whom to tell
    tell      seal that it was unlocked, when that is due; it waits in the side until the gateway has it
    take      an officer's device reads it: what warns is an alarm, and nothing goes back

An unlock is told once an hour, since each verb is one; at once where it is by the other passphrase than the last that was told; and
one in sixteen of the rest by chance, so that two within an hour say nothing. It stands in a stream of its own, whose chain is in the
side: neither passphrase needs to know what the other has said elsewhere, and no number is spent twice.
"""

from typing import Annotated, Final

from msgspec import Meta

from clients.core import records
from clients.core.ledger import Draft, Shelf, View
from clients.core.records import AlarmKind, Chain
from clients.core.trust import Trust, unfit_at
from clients.core.turn import HOUR, Turn
from gateway.wire import Placed, Sealed
from keys.canonical import Key, Millis, Record
from keys.charter import Charter
from keys.envelope import (
    NOTHING,
    Claimed,
    Kind,
    Precedence,
    bare,
    check_body,
    seal,
    verify_run,
)
from keys.errors import BadSignature, KeysError
from keys.identity import Random, SigningKey
from keys.policy import Verb
from keys.unlock import can_hear, open_unlock, seal_unlock

CHANCE: Final = 16  # of 256
UNSENT_MOST: Final = 32
PATIENCE: Final = 600_000  # ms that a warning waits for its author's certificate
LISTS_MOST: Final = 64 * 1024  # bytes of revocation lists that go into the side
ALERTING: Final = frozenset({Verb.ALERT, Verb.APPROVE_ALERT})


class Watchers(Record, frozen=True, array_like=True):
    """The keys of the officers' devices."""

    keys: Annotated[list[Key], Meta(max_length=4_096)]


class Unsent(Record, frozen=True, array_like=True):
    """An unlock that the gateway has not got yet: the bytes that go, again and again, until it has."""

    header: bytes
    signature: bytes
    body: bytes
    warning: bool

    @property
    def sealed(self) -> Sealed:
        return Sealed(self.header, self.signature, self.body)


class Told(Record, frozen=True, array_like=True):
    """The last one that was sealed."""

    time: Millis
    warning: bool


WATCHERS: Final = Shelf("watchers", Watchers)  # ""
UNSENT: Final = Shelf("unlock", Unsent)  # number, 8 bytes
TOLD: Final = Shelf("told", Told)  # ""


# --- what the side holds ---


def refresh(side: Draft, view: View, trust: Trust, charter: Charter, now: int) -> None:
    """Bring the side up to what the opened profile knows."""
    me = records.IDENTITY.get(view)
    if me is None:
        return
    seed = records.SEEDS.get(view, me.certificate_hash)
    assert seed is not None, "an identity comes with its key"
    new = records.IDENTITY.get(side) != me
    records.IDENTITY.put(side, b"", me)
    records.SEEDS.put(side, me.certificate_hash, seed)
    version = charter.policy.version.to_bytes(8, "big")
    new |= records.CHARTERS.get(side, version) is None
    for old, _ in list(records.CHARTERS.scan(side)):
        if old != version:
            records.CHARTERS.delete(side, old)
    records.CHARTERS.put(side, version, records.Note(charter.note))
    told, watchers = TOLD.get(side), WATCHERS.get(side)
    if new or not watchers or not watchers.keys or told is None or now >= told.time + HOUR:
        WATCHERS.put(side, b"", Watchers(_watchers(view, trust, charter, me.device, now)))
        _refresh_looks(side, view, me.device)


def _watchers(view: View, trust: Trust, charter: Charter, mine: bytes, now: int) -> list[bytes]:
    """The keys of the mission's own who write or approve alerts, as far as their certificates are known and alive."""
    found: dict[bytes, None] = {}
    for key, _ in records.HOLDERS.scan(view):
        certified = trust.certified(key[16:])
        if certified is None or certified.registrar or key[:16] == mine or unfit_at(view, certified, now):
            continue
        if certified.organisation == charter.policy.home.name and charter.policy.verbs(certified.roles) & ALERTING:
            found[certified.public_key] = None
    return [key for key in found if can_hear(key)]


def _refresh_looks(side: Draft, view: View, device: bytes) -> None:
    """What a screen shows of the mission and of the log."""
    for shelf, key in (
        (records.CHECKPOINT.name, b""),
        (records.CARDS.name, device),
        (records.COUNTERS.name, b"proved"),
    ):
        value = view.get(shelf, key)
        if value is not None:
            side.put(shelf, key, value)
    room = LISTS_MOST
    for key, value in view.scan(records.REVOCATIONS.name, b"", b""):
        room -= len(value)
        if room >= 0:
            side.put(records.REVOCATIONS.name, key, value)


# --- telling ---


def heard_by(side: View) -> int:
    """How many officers' devices would hear of it."""
    watchers = WATCHERS.get(side)
    return len(watchers.keys) if watchers else 0


def tell(side: Draft, charter: Charter, *, warning: bool, now: int, random: Random) -> None:
    """Seal that this device was unlocked, if that is due and there is somebody to tell."""
    me, watchers = records.IDENTITY.get(side), WATCHERS.get(side)
    if me is None or me.registrar or watchers is None or not watchers.keys or not _due(side, warning, now, random):
        return
    seed = records.SEEDS.get(side, me.certificate_hash)
    assert seed is not None, "an identity comes with its key"
    stream = charter.unlock_stream
    own = records.OWN.get(side, stream) or Chain(0, NOTHING)
    context = bare(Kind.UNLOCK, me.device, stream, own.number + 1, own.link, now, Precedence.IMMEDIATE)
    body = seal_unlock(warning, watchers.keys, context.authenticated_data(), random)
    envelope = seal(context, body, SigningKey(seed.seed))
    key = context.number.to_bytes(8, "big")
    UNSENT.put(side, key, Unsent(envelope.header, envelope.signature, body, warning))
    records.OWN.put(side, stream, Chain(context.number, envelope.link))
    TOLD.put(side, b"", Told(now, warning))


def _due(side: Draft, warning: bool, now: int, random: Random) -> bool:
    told = TOLD.get(side)
    by_chance = random(1)[0] < CHANCE
    if told is None or told.warning != warning:
        return True
    waiting = [one for _, one in UNSENT.scan(side)]
    if waiting and (waiting[-1].warning == warning or len(waiting) >= UNSENT_MOST):
        return False  # that goes anyway
    return by_chance or not told.time <= now < told.time + HOUR


def unsent(side: View) -> list[tuple[bytes, Unsent]]:
    """What waits for the gateway, in order."""
    return list(UNSENT.scan(side))


def accepted(side: Draft, key: bytes) -> None:
    """The gateway has it."""
    UNSENT.delete(side, key)


# --- an officer's device ---


def take(turn: Turn, trust: Trust, placed: Placed, claimed: Claimed | None, body: bytes) -> bool:
    """Read one; False where a warning waits for its author's certificate."""
    if claimed is None or claimed.context.kind is not Kind.UNLOCK or claimed.context.channel != placed.channel:
        turn.alarm(AlarmKind.MISDIRECTED, "no unlock", seq=placed.place.seq)
        return True
    context = claimed.context
    if context.device == turn.me.device:
        return True
    if not _warns(turn, claimed, body):
        return True
    known = trust.of_device(context.device)
    sure = any(_holds(claimed, certified.public_key, body) for certified in known)
    if not sure and (not known or trust.unproved(context.device)) and turn.now < placed.place.time + PATIENCE:
        return False
    doubt = "" if sure else " (its signature could not be checked)"
    detail = f"opened under duress{doubt}. Say nothing to it; true until seen in person"
    turn.alarm(AlarmKind.DURESS, detail, seq=placed.place.seq, device=context.device)
    return True


def _warns(turn: Turn, claimed: Claimed, body: bytes) -> bool:
    binding = claimed.context.authenticated_data()
    try:
        said = [open_unlock(body, SigningKey(seed.seed), binding) for _, seed in records.SEEDS.scan(turn.draft)]
    except KeysError:
        return False
    return True in said


def _holds(claimed: Claimed, key: bytes, body: bytes) -> bool:
    try:
        (verified,) = verify_run([claimed], key)
        check_body(verified, body)
    except (BadSignature, KeysError):
        return False
    return True
