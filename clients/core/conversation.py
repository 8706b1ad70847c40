"""What people want of a device, drafted: each function checks that it may be done, and puts it on the ledger.

Checked here is what the gateway and every recipient would refuse: a number spent on such a thing would be spent for good.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from clients.core import alerts, beside, changes, emergencies, evidence, outbox, receipts, records
from clients.core import trust as trusted
from clients.core.commits import Work
from clients.core.content import AckText, Text, encode_content
from clients.core.errors import NotAllowed, NotNow, Unknown, Withheld
from clients.core.groups import roster_at
from clients.core.ledger import at
from clients.core.outbox import Kept, stream_of_receipts
from clients.core.records import Channel, Intent, Message
from clients.core.turn import DAY
from gateway.wire import Refusal
from keys.body import Ack
from keys.canonical import encode
from keys.envelope import Kind, Marking, Precedence
from keys.errors import KeysError, Malformed
from keys.policy import DESK, ChannelClass, Verb
from keys.unlock import can_hear
from keys.words import Words, seal_words


def channel_of(work: Work, channel: bytes) -> Channel:
    """A channel in which something can be said. Raises Unknown or NotNow."""
    state = records.CHANNELS.get(work.turn.draft, channel)
    if state is None:
        raise Unknown(f"no channel {channel.hex()[:8]} here")
    if state.left:
        raise NotNow("this device was removed from that channel")
    if state.halted:
        raise NotNow(
            f"that channel is halted here: {state.halted}. An officer lets you in again: outrider channel resync"
        )
    return state


def _in_good_faith(work: Work) -> None:
    """Raises NotNow under a log that was proved to lie: only what can't wait goes out, and what officers say among themselves."""
    if why := evidence.forked(work.turn.draft, work.turn.charter):
        raise NotNow(f"every channel is halted: {why}. Alerts, SOS and check-ins go out")


def need(work: Work, verb: Verb) -> None:
    """Raises NotAllowed unless a role of this device may do that."""
    if not work.turn.charter.policy.permits(work.turn.me.roles, verb):
        held = ", ".join(work.turn.me.roles) or "no role"
        raise Withheld(Refusal.ROLE, f"{held}: the charter does not allow {verb.value}")


def _class_of(work: Work, name: str) -> ChannelClass:
    try:
        return work.turn.charter.policy.channel_class(name)
    except KeysError as error:
        raise Unknown(str(error)) from None


def create_channel(work: Work, channel_class: str, marking: Marking, purpose: str) -> bytes:
    """Found a channel. Raises NotAllowed, Unknown, NotNow."""
    turn = work.turn
    need(work, Verb.CREATE_CHANNEL)
    _in_good_faith(work)
    kind = _class_of(work, channel_class)
    if marking > kind.ceiling or not turn.charter.policy.may_see(turn.me.organisation, marking, turn.now):
        raise NotAllowed(
            f"channels of class {kind.name} go up to {kind.ceiling.label}, for this organisation perhaps less"
        )
    if trusted.stale(turn.draft, turn.me.organisation, turn.now, turn.charter.policy.crl_hours):
        raise NotNow(f"the revocation list of {turn.me.organisation} is missing or too old: sync, or ask a registrar")
    if work.trust.certified(turn.me.certificate_hash) is None:
        raise NotNow("this device's certificate is not proved yet: sync first")
    return changes.create(work, channel_class, marking, purpose)[0]


def create_beside(work: Work, talk: bytes, purpose: str) -> bytes:
    """Found the alert channel beside a talk channel, under the same ceiling; gives its id. Raises NotAllowed, Unknown, NotNow."""
    state, policy = channel_of(work, talk), work.turn.charter.policy
    kind = next((c for c in policy.classes if c.alerts and c.ceiling >= state.ceiling), None)
    if kind is None:
        raise NotAllowed(f"no class of the charter carries alerts up to {Marking(state.ceiling).label}")
    if _class_of(work, state.channel_class).alerts or beside.alert_channel(work.turn.draft, talk) is not None:
        raise NotAllowed("that channel has its alerts already")
    need(work, Verb.CREATE_CHANNEL)
    channel = changes.create(work, kind.name, state.ceiling, purpose, talk)[0]
    beside.call_officers(work.turn, channel)
    return channel


def change(
    work: Work, channel: bytes, *, add: Sequence[bytes] = (), remove: Sequence[bytes] = (), rekey: bool = False
) -> bytes:
    """Want members added or removed, or fresh keys; gives the intent."""
    turn = work.turn
    state = channel_of(work, channel)
    _in_good_faith(work)
    if add:
        need(work, Verb.ADD)
    present = roster_at(turn.draft, channel, state.epoch)
    members = {s.device for s in present.seats} if present else set()
    if remove and not set(remove) <= members:
        raise Unknown("not a member of that channel")
    if turn.me.device in remove:
        raise NotAllowed("nobody removes the device that he sits at: ask another officer")
    if any(not _must_go(work, channel, state, device) for device in remove):
        need(work, Verb.REMOVE)
    for device in add:
        peer = records.PEERS.get(turn.draft, device)
        if peer is not None and not turn.charter.policy.may_see(peer.organisation, state.ceiling, turn.now):
            raise NotAllowed(f"{peer.organisation} may not see {Marking(state.ceiling).label}")
    key = turn.next_id()
    intent = Intent(channel, list(add), list(remove), renew=False, rekey=rekey, automatic=False)
    records.INTENTS.put(turn.draft, key, intent)
    if add or remove:
        beside.follow(turn, channel, add, remove)
    return key


def _must_go(work: Work, channel: bytes, state: Channel, device: bytes) -> bool:
    present = roster_at(work.turn.draft, channel, state.epoch)
    seat = next((s for s in present.seats if s.device == device), None) if present else None
    certified = work.trust.certified(seat.certificate) if seat else None
    return certified is None or bool(trusted.unfit(work.turn, certified))


def send_text(
    work: Work,
    channel: bytes,
    text: str,
    precedence: Precedence,
    marking: Marking | None,
    *,
    ask_ack: bool,
    expires: int,
) -> bytes:
    """Keep a message; gives its item. `expires` is when its body may be destroyed (ms), 0: as the class says."""
    turn, state = work.turn, channel_of(work, channel)
    need(work, Verb.SEND)
    if state.channel_class != DESK:
        _in_good_faith(work)
    kind = _class_of(work, state.channel_class)
    if kind.alerts:
        raise NotAllowed("a channel for alerts carries no talk")
    mark = state.ceiling if marking is None else marking
    if mark > state.ceiling:
        raise NotAllowed(f"{mark.label} may not go to a channel up to {Marking(state.ceiling).label}")
    if expires and not turn.now < expires <= turn.now + kind.retention_days * DAY:
        raise NotAllowed(f"a message here expires within {kind.retention_days} days")
    content = encode_content(Text(text, turn.now, ask_ack))
    return outbox.keep(turn, Kept(channel, Kind.APPLICATION, content, precedence, mark, expires))


def find(work: Work, name: bytes) -> tuple[bytes, int, Message]:
    """The message of this header hash: its channel, seq and record. Raises Unknown."""
    key = records.NAMES.get(work.turn.draft, name)
    message = records.MESSAGES.get(work.turn.draft, key.data) if key else None
    if key is None or message is None:
        raise Unknown("no such message or alert here")
    return key.data[:16], int.from_bytes(key.data[16:], "big"), message


def acknowledge(work: Work, root: bytes, option: int | str, text: str) -> bytes:
    """Answer an alert (by its root) or a message (by its header hash)."""
    turn = work.turn
    alert = records.ALERTS.get(turn.draft, root)
    if alert is not None:
        channel = next((c for c, seq in alert.places if seq), None)
        if channel is None:
            raise NotNow("that alert has not gone out yet")
        stands = alerts.standing(turn.draft, root, turn.now)
        if not stands.holds:
            by = f" by {stands.by.hex()[:8]}" if stands.by else ""
            raise NotNow(f"that alert is {stands.how}{by}: answer what holds now")
        if alert.draft.exercise and (real := alerts.freezes_play(turn.draft, alert, turn.now)):
            raise NotNow(f"play is frozen: {real}")
        number, emergency, asking = _option(alert, option), False, b""
    else:
        channel, _, message = find(work, root)
        emergency, asking = message.kind in emergencies.KINDS, message.device
        if option not in (0, ""):
            raise Unknown("a message is acknowledged, it has no options")
        number = 0
    state = channel_of(work, channel)
    if text:
        need(work, Verb.SEND)
    if alert is not None or emergency:  # an alert's answers concern officers alone; an SOS's its author too
        words = _for_officers(work, channel, root, text, asking) if text else None
        body = encode(Ack(root, number, words, turn.random(16)))
        return outbox.keep(turn, Kept(stream_of_receipts(channel), Kind.ACK, body, Precedence.IMMEDIATE))
    answer = encode(Ack(root, number, None, turn.random(16)))
    item = outbox.keep(turn, Kept(channel, Kind.ACK, answer, Precedence.IMMEDIATE))
    if text:
        said = encode_content(AckText(root, text))
        outbox.keep(turn, Kept(channel, Kind.APPLICATION, said, Precedence.IMMEDIATE, state.ceiling))
    return item


def _for_officers(work: Work, channel: bytes, root: bytes, text: str, asking: bytes) -> Words:
    """Words that only the officers in the channel can open, and the device that called for help. Raises NotAllowed."""
    turn, state = work.turn, channel_of(work, channel)
    roster = roster_at(turn.draft, channel, state.epoch)
    members = [c for seat in (roster.seats if roster else []) if (c := work.trust.certified(seat.certificate))]
    readers = [c.public_key for c in members if c.device == asking or beside.is_officer(turn, c.organisation, c.roles)]
    try:
        return seal_words(text, [key for key in readers if can_hear(key)], root, turn.me.device, turn.random)
    except Malformed as error:
        raise NotAllowed(str(error)) from None


def _option(alert: records.Alert, option: int | str) -> int:
    """The number that answers so: given as number, or as the option's text."""
    if isinstance(option, int):
        if option and option not in alert.options:
            raise Unknown(f"this alert has no option {option}")
        return option
    if not option:
        return 0
    for number in alert.options:
        if option.casefold() in {text.casefold() for text in alerts.option_texts(alert, number)}:
            return number
    raise Unknown(f"this alert has no option {option!r}")


def show(work: Work, channel: bytes, seq: int) -> None:
    """Somebody sees the message at this place, now and for the first time; and with it an alert's copies in other channels."""
    message = records.MESSAGES.get(work.turn.draft, at(channel, seq))
    copies = alerts.copies(work.turn.draft, message.alert.root) if message is not None and message.alert else []
    for place in copies if (channel, seq) in copies else [(channel, seq)]:  # what was refused under its root is no copy
        _show_at(work, *place)


def _show_at(work: Work, channel: bytes, seq: int) -> None:
    key = at(channel, seq)
    message = records.MESSAGES.get(work.turn.draft, key)
    if message is not None and not message.shown:
        records.MESSAGES.put(work.turn.draft, key, replace(message, shown=work.turn.now))
    records.UNSHOWN.delete(work.turn.draft, key)
    receipts.shown(work.turn, channel, seq)
