"""The alert channel beside a talk channel, kept in step with it: who is in the one is in the other, and all officers are in it.

Whoever changes the talk channel wants the same of the alert channel at once (`follow`). What is left undone (another's change, an
officer enrolled since, a device that had no KeyPackages) is a duty of those who are in both and may add and remove
(`keep_in_step`); they take turns by their leaf, so that not all commit at once.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from clients.core import records
from clients.core.groups import may_join, roster_at
from clients.core.ledger import View
from clients.core.records import Channel, Intent, Peer
from clients.core.session import Session
from clients.core.turn import Turn
from keys.policy import Verb

STEP: Final = 2_000  # ms between the turns of two members
AGAIN: Final = 30_000  # ms before what could not be done is tried again


def alert_channel(view: View, talk: bytes) -> bytes | None:
    """The channel that carries the alerts for a talk channel, as far as this device is in it."""
    for channel, state in records.CHANNELS.scan(view):
        if state.beside == talk and not state.left:
            return channel
    return None


def follow(turn: Turn, talk: bytes, add: Sequence[bytes], remove: Sequence[bytes]) -> None:
    """Want in the alert channel what somebody here wants in the talk channel. Officers stay in it."""
    channel = alert_channel(turn.draft, talk)
    if channel is None:
        return
    gone = [d for d in remove if d not in officers(turn)]
    begun = next(((k, i) for k, i in records.INTENTS.scan(turn.draft) if _founding(turn, channel, i)), None)
    if (
        begun is not None and not gone
    ):  # together with the officers, by one commit: nobody comes in behind another's first words
        key, intent = begun
        records.INTENTS.put(
            turn.draft, key, replace(intent, add=[*intent.add, *(d for d in add if d not in intent.add)])
        )
    elif add or gone:
        _want(turn, channel, add, gone)


def call_officers(turn: Turn, channel: bytes) -> None:
    """Want all officers in a new alert channel by one commit, those of whom the directory holds KeyPackages; whoever else may come is
    brought in as a duty, as soon as that one has put some."""
    ready = [d for d in absent(turn, channel) if (peer := records.PEERS.get(turn.draft, d)) and peer.packages]
    if ready:
        _want(turn, channel, ready, [])


def _founding(turn: Turn, channel: bytes, intent: Intent) -> bool:
    """Whether this is the intent to call the officers into a channel of which nothing has left this device yet."""
    state = records.CHANNELS.get(turn.draft, channel)
    return intent.channel == channel and intent.automatic and bool(intent.add) and state is not None and not state.seq


def absent(turn: Turn, channel: bytes) -> list[bytes]:
    """The officers' devices that belong in an alert channel and are not in it yet: an alert that goes there now misses them."""
    state = records.CHANNELS.get(turn.draft, channel)
    if state is None or not state.beside:
        return []
    inside = _devices(turn, channel, state) | {turn.me.device}
    return [d for d in sorted(officers(turn) - inside) if _can_come(turn, d, state)]


def officers(turn: Turn) -> set[bytes]:
    """The devices of the mission's own who write or approve alerts, as far as this device knows of them."""
    return {device for device, peer in records.PEERS.scan(turn.draft) if _known_officer(turn, peer)}


def _known_officer(turn: Turn, peer: Peer) -> bool:
    officer = not peer.revoked and is_officer(turn, peer.organisation, peer.roles)
    return officer and not turn.reached(peer.not_after + 1)


def is_officer(turn: Turn, organisation: str, roles: Iterable[str]) -> bool:
    """Whether these roles write or approve alerts, in the mission's own organisation."""
    policy = turn.charter.policy
    return organisation == policy.home.name and bool(policy.verbs(roles) & {Verb.ALERT, Verb.APPROVE_ALERT})


def keep_in_step(s: Session, turn: Turn, channel: bytes) -> None:
    """Bring an alert channel in step with its talk channel, where this device is in both and may."""
    state = records.CHANNELS.get(turn.draft, channel)
    talk = records.CHANNELS.get(turn.draft, state.beside) if state is not None and state.beside else None
    if state is None or talk is None or not (_settled(state) and _settled(talk)):
        return
    if not {Verb.ADD, Verb.REMOVE} <= turn.charter.policy.verbs(turn.me.roles):
        return
    add, remove = _difference(turn, channel, state, talk)
    if not (add or remove):
        s.step_at.pop(channel, None)
        return
    if any(i.channel in (channel, state.beside) for _, i in records.INTENTS.scan(turn.draft)):
        return
    due = s.step_at.setdefault(channel, turn.now + _my_turn(turn, channel, state))
    if turn.reached(due):
        s.step_at[channel] = turn.now + AGAIN
        if remove:
            _want(turn, channel, [], remove)
        for device in add:  # one at a time: who has left no KeyPackages keeps nobody else out
            _want(turn, channel, [device], [])


def _settled(state: Channel) -> bool:
    """Known to the gateway, and processed as far as it goes."""
    begun = bool(state.since or state.seq)
    return begun and not state.left and not state.halted and state.seq >= state.head


def _difference(turn: Turn, channel: bytes, state: Channel, talk: Channel) -> tuple[list[bytes], list[bytes]]:
    """(missing, too many) in the alert channel."""
    present, wanted = _devices(turn, channel, state), _devices(turn, state.beside, talk)
    known = officers(turn)
    missing = [d for d in sorted((wanted | known) - present) if _can_come(turn, d, state)]
    gone = present - wanted - known - {turn.me.device}
    return missing, sorted(gone)


def _devices(turn: Turn, channel: bytes, state: Channel) -> set[bytes]:
    roster = roster_at(turn.draft, channel, state.epoch)
    return {seat.device for seat in roster.seats} if roster else set()


def _can_come(turn: Turn, device: bytes, state: Channel) -> bool:
    """It is known and not revoked, and its organisation may see what goes there."""
    peer = records.PEERS.get(turn.draft, device)
    return peer is not None and not peer.revoked and may_join(turn, peer.organisation, state.ceiling)


def _my_turn(turn: Turn, channel: bytes, state: Channel) -> int:
    roster = roster_at(turn.draft, channel, state.epoch)
    order = [seat.device for seat in roster.seats] if roster else []
    return STEP * order.index(turn.me.device) if turn.me.device in order else STEP


def _want(turn: Turn, channel: bytes, add: Iterable[bytes], remove: Iterable[bytes]) -> None:
    intent = Intent(channel, list(add), list(remove), renew=False, rekey=False, automatic=True)
    records.INTENTS.put(turn.draft, turn.next_id(), intent)
