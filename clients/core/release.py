"""Release: who would be shown an alert, by name, and whether its marking lets it go there.

TLP 2.0 with the charter's agreements (`Policy.may_see`): AMBER+STRICT stays in one organisation, AMBER crosses only to an organisation
whose agreement holds and covers it, RED goes to nobody's channel. Asked when a draft is kept, and again before it is frozen
and before it is approved; the gateway and each receiving device ask once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clients.core import records
from clients.core.commits import Work
from clients.core.conversation import channel_of
from clients.core.errors import NotAllowed, Unknown, Withheld
from clients.core.groups import roster_at
from clients.core.records import Channel, Seat
from gateway.wire import Refusal
from keys.authority import read_card
from keys.envelope import Marking
from keys.errors import KeysError


@dataclass(frozen=True, slots=True)
class Receiver:
    """A person who would get it: with which devices, in which of the channels, and whether from another organisation.

    `name` is the card's name and call sign, or the beginning of a device's id where no card has come. `organisation` is empty
    for a device that nobody here knows.
    """

    person: bytes
    name: str
    organisation: str
    outside: bool
    you: bool
    devices: tuple[bytes, ...]
    channels: tuple[bytes, ...]


def receivers(work: Work, channels: Sequence[bytes]) -> list[Receiver]:
    """Everybody in these channels, each person once: those of other organisations last, otherwise by name."""
    found: dict[bytes, Receiver] = {}
    me = work.turn.me
    for channel in dict.fromkeys(channels):
        for seat in _seats(work, channel):
            person, organisation = _who(work, seat)
            first = Receiver(
                person,
                _name(work, seat.device),
                organisation,
                organisation != me.organisation,
                person == me.person,
                (),
                (),
            )
            one = found.get(person, first)
            found[person] = replace(
                one,
                devices=tuple(dict.fromkeys((*one.devices, seat.device))),
                channels=tuple(dict.fromkeys((*one.channels, channel))),
            )
    return sorted(found.values(), key=lambda r: (r.outside, r.organisation, r.name.casefold(), r.person))


def check(work: Work, channels: Sequence[bytes], marking: Marking) -> None:
    """Whether an alert of this marking may go to everybody in these channels.

    Raises:
        NotAllowed: it may not; the sentence says what to do.
        NotNow, Unknown: a channel is not one to be alerted.
    """
    if not channels:
        raise Unknown("an alert names the channels it goes to: --to CHANNEL; see `outrider channel list`")
    if marking is Marking.RED:
        raise Withheld(
            Refusal.TLP,
            "TLP:RED is for people named one by one, never for a channel: lower the marking, or tell them yourself",
        )
    states = [(channel, channel_of(work, channel)) for channel in channels]
    for channel, state in states:
        for organisation in organisations(work, channel):
            if reason := withheld(work, organisation, marking):
                why = Refusal.EXPIRED if ended(work, organisation) else Refusal.TLP
                name = state.purpose or channel.hex()[:8]
                raise Withheld(
                    why, f"{reason}. Leave {name} out, or write those people a text that may be shown to them."
                )
    for channel, state in states:
        _check_channel(work, state, state.purpose or channel.hex()[:8], marking)


def _check_channel(work: Work, state: Channel, name: str, marking: Marking) -> None:
    try:
        alerts = work.turn.charter.policy.channel_class(state.channel_class).alerts
    except KeysError as error:
        raise Unknown(str(error)) from None
    if not alerts:
        raise NotAllowed(f"{name} carries talk: name the alert channel beside it")
    if marking > state.ceiling:
        raise Withheld(
            Refusal.TLP, f"{name} goes up to {Marking(state.ceiling).label}: leave it out, or lower the marking"
        )


def check_reason(work: Work, channels: Sequence[bytes], marking: Marking, reason: str) -> None:
    """Whether it is said why outsiders may have what is not for everybody. Raises NotAllowed."""
    outside = sorted({o for c in channels for o in organisations(work, c) if o != work.turn.me.organisation})
    if outside and marking >= Marking.AMBER and not reason.strip():
        raise NotAllowed(
            f"{marking.label} goes to {', '.join(outside)}: say why they may have it, with --release REASON"
        )


def organisations(work: Work, channel: bytes) -> list[str]:
    """The organisations whose people are in a channel now; an empty name stands for a device that nobody here knows."""
    return sorted({_who(work, seat)[1] for seat in _seats(work, channel)})


def withheld(work: Work, organisation: str, marking: Marking) -> str:
    """Why people of an organisation may not be shown this; empty where they may."""
    policy, me = work.turn.charter.policy, work.turn.me.organisation
    if not organisation:
        return "a device is in there whose organisation is not known here: sync first"
    if organisation != me and marking >= Marking.AMBER_STRICT:
        return f"{marking.label} stays in {me}, and people of {organisation} would get it"
    try:
        theirs = policy.organisation(organisation)
        allowed = policy.may_see(organisation, marking, work.turn.now)
    except KeysError:
        return f"the charter names no organisation {organisation}"
    if allowed:
        return ""
    if ended(work, organisation):
        return f"the agreement with {organisation} has ended"
    return f"{organisation} is shown up to {theirs.ceiling.label}, and this is {marking.label}"


def ended(work: Work, organisation: str) -> bool:
    """Whether the agreement with an organisation has run out."""
    try:
        theirs = work.turn.charter.policy.organisation(organisation)
    except KeysError:
        return False
    return not theirs.home and work.turn.now > theirs.until


def _seats(work: Work, channel: bytes) -> list[Seat]:
    present = roster_at(work.turn.draft, channel, channel_of(work, channel).epoch)
    return list(present.seats) if present else []


def _who(work: Work, seat: Seat) -> tuple[bytes, str]:
    """(person, organisation) of a member. The certificate in its leaf says who it is, before any directory."""
    known = work.trust.certified(seat.certificate) or records.PEERS.get(work.turn.draft, seat.device)
    return (known.person, known.organisation) if known is not None else (seat.device, "")


def _name(work: Work, device: bytes) -> str:
    note = records.CARDS.get(work.turn.draft, device)
    try:
        card = read_card(note.data) if note else None
    except KeysError:
        card = None
    if card is None:
        return device.hex()[:8]
    return (
        f"{card.name} ({card.call_sign})" if card.call_sign.casefold() not in ("", card.name.casefold()) else card.name
    )
