"""Composing an alert: a draft is kept on this device until it is frozen for approval or thrown away.

    draft = ...                                  # what the officer asked for, its CAP document written or read
    key = keep(work, draft)                      # checked: the document, the marking against every receiver
    frozen = freeze(draft, now)                  # at `alert submit`: the bytes that are hashed, with the times of then

A draft binds nobody: its text may still change, and no root stands over it. Who may be shown what is asked when it is kept,
and again when it is frozen and approved, because channels and agreements change meanwhile (`check_release`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clients.core import records
from clients.core.cap import Alert, open_alert
from clients.core.cap.writing import restamped, timestamp
from clients.core.commits import Work
from clients.core.conversation import channel_of, need
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.groups import roster_at
from clients.core.ledger import View
from clients.core.records import AlertDraft
from clients.core.turn import HOUR
from keys.envelope import Marking
from keys.errors import KeysError
from keys.policy import Verb

LASTS: Final = 12 * HOUR  # an alert whose document names no end


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a draft comes to at one moment: the very bytes to be hashed, signed and sent.

    `not_after` is when the alert ends (ms); `options` are the replies it offers, in their order.
    """

    cap: bytes
    alert: Alert
    not_after: int
    options: tuple[str, ...]


def freeze(draft: AlertDraft, now: int) -> Frozen:
    """The draft as it stands at `now`, in ms.

    A document written here gets its times anew, since a draft may have been kept overnight; a file's bytes stay as they are.

    Raises:
        NotNow: the document's own end has passed.
        CapRefused: the document is none; a draft that was kept has passed this.
    """
    data = draft.cap
    if draft.written:
        data = restamped(data, timestamp(now), timestamp(now + (draft.lasts or LASTS)))
    alert = open_alert(data)
    ends = [info.expires_at for info in alert.infos if info.expires_at is not None]
    not_after = max(ends) if ends else now + (draft.lasts or LASTS)
    if not_after <= now:
        raise NotNow("this alert's time is over already: give its document a later end")
    return Frozen(data, alert, not_after, alert.response_options)


def keep(work: Work, draft: AlertDraft) -> bytes:
    """Keep a draft; gives its id.

    Raises:
        NotAllowed: no role here may alert, or somebody in a target channel may not see this marking.
        NotNow, Unknown: a target channel is not one to be alerted.
        CapRefused: the document is none.
    """
    need(work, Verb.ALERT)
    freeze(draft, work.turn.now)
    check_release(work, draft.channels, draft.marking)
    key = work.turn.next_id()
    records.DRAFTS.put(work.turn.draft, key, draft)
    return key


def drafts(view: View) -> list[tuple[bytes, AlertDraft]]:
    """The drafts on this device with their ids, the oldest first."""
    return sorted(records.DRAFTS.scan(view), key=lambda kept: kept[1].composed)


def find(view: View, wanted: str) -> tuple[bytes, AlertDraft]:
    """The one draft whose id begins so (in hex). Raises Unknown."""
    fits = [(key, draft) for key, draft in drafts(view) if key.hex().startswith(wanted.lower())]
    if len(fits) != 1 or not wanted:
        raise Unknown(f"{len(fits)} drafts begin with {wanted!r}: see `outrider alert draft list`")
    return fits[0]


def drop(work: Work, key: bytes) -> None:
    """Throw a draft away."""
    records.DRAFTS.delete(work.turn.draft, key)


def check_release(work: Work, channels: Sequence[bytes], marking: Marking) -> None:
    """Whether an alert of this marking may go to everybody in these channels (TLP 2.0, and the charter's agreements).

    Raises:
        NotAllowed: it may not; the sentence says what to do.
        NotNow, Unknown: a channel is not one to be alerted.
    """
    policy = work.turn.charter.policy
    if not channels:
        raise Unknown("an alert names the channels it goes to")
    if marking is Marking.RED:
        raise NotAllowed(
            "TLP:RED is for people named one by one, never for a channel: lower the marking, or tell them yourself"
        )
    for channel in channels:
        state = channel_of(work, channel)
        try:
            alerts = policy.channel_class(state.channel_class).alerts
        except KeysError as error:
            raise Unknown(str(error)) from None
        if not alerts:
            raise NotAllowed(f"{state.purpose or channel.hex()[:8]} carries talk: name the alert channel beside it")
        if marking > state.ceiling:
            ceiling = Marking(state.ceiling).label
            raise NotAllowed(
                f"{state.purpose or channel.hex()[:8]} goes up to {ceiling}: leave it out, or lower the marking"
            )
        for organisation in organisations_in(work, channel):
            if reason := withheld(work, organisation, marking):
                name = state.purpose or channel.hex()[:8]
                raise NotAllowed(
                    f"{reason}: leave {name} out, or write a text for them that may be {Marking.AMBER.label}"
                )


def organisations_in(work: Work, channel: bytes) -> list[str]:
    """The organisations whose people are in a channel now; an empty name stands for a device that nobody here knows."""
    state = channel_of(work, channel)
    present = roster_at(work.turn.draft, channel, state.epoch)
    found = set()
    for seat in present.seats if present else []:
        known = work.trust.certified(seat.certificate) or records.PEERS.get(work.turn.draft, seat.device)
        found.add(known.organisation if known is not None else "")
    return sorted(found)


def withheld(work: Work, organisation: str, marking: Marking) -> str:
    """Why people of an organisation may not be shown this; empty where they may."""
    policy, me = work.turn.charter.policy, work.turn.me.organisation
    if not organisation:
        return "a device is in there whose organisation is not known here: sync first"
    if organisation != me and marking >= Marking.AMBER_STRICT:
        return f"{marking.label} stays in {me}, and {organisation} would get it"
    try:
        theirs = policy.organisation(organisation)
        allowed = policy.may_see(organisation, marking, work.turn.now)
    except KeysError:
        return f"the charter names no organisation {organisation}"
    if allowed:
        return ""
    if not theirs.home and work.turn.now > theirs.until:
        return f"the agreement with {organisation} has ended"
    return f"{organisation} is shown up to {theirs.ceiling.label}, and this is {marking.label}"
