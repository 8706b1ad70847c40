"""What the gateway's frames mean to this device: one function a frame, one table.

An answer that nobody asked for is an alarm; one that says no is sorted by what was asked (`refusals`).
"""

# All functions of a table have one form, whether or not they need all of it.
# ruff: noqa: ARG001

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from clients.core import (
    changes,
    deliveries,
    emergencies,
    gossip,
    packages,
    proof,
    records,
    refusals,
    reminding,
    settling,
)
from clients.core import trust as trusted
from clients.core.errands import Errand, fits
from clients.core.records import AlarmKind, Fetched, Joining, Note, Peer
from clients.core.refusals import PROVE_AGAIN, RETRY
from clients.core.session import Session
from clients.core.turn import Answered, Draining, Turn
from gateway import wire
from keys.charter import succeed
from keys.errors import CharterRefused


def _accepted(s: Session, turn: Turn, frame: wire.Accepted) -> None:
    errand = s.errands.close(frame.id)
    if errand is None or errand.kind != "submit":
        _unexpected(s, turn, frame)
        return
    run = settling.run_of(turn, errand)
    if not run:
        return  # its echo came first and settled it
    places = settling.places_of(turn, errand, run, frame)
    if not places:
        s.quiet[errand.key] = turn.now + RETRY
        return
    first = run[0][1]
    promise = frame.promise if first.number == errand.first else None  # it speaks of the first of the run
    latest = settling.promised(turn, first, places[0], promise)
    changes.own_accepted(s.work(turn), errand.key, run, places, latest)


def _refused(s: Session, turn: Turn, frame: wire.Refused) -> None:
    errand = s.errands.close(frame.id)
    if errand is None:
        if frame.id == 0:
            turn.alarm(AlarmKind.GATEWAY, f"{frame.refusal.name}: {frame.detail}")
        return
    refusals.take(s, turn, errand, frame)


def _done(s: Session, turn: Turn, frame: wire.Done) -> None:
    errand = s.errands.close(frame.id)
    if errand is None:
        return
    if errand.kind == "upload":
        s.held[errand.key] = frame.value
    elif errand.kind == "packages" and errand.frame is not None:
        packages.were_put(turn, errand.frame)
    elif errand.kind == "fetch":
        deliveries.still_missing(s, turn, errand.key)
    else:
        _to_shell(s, turn, errand, frame.id, frame)


def _deliver(s: Session, turn: Turn, frame: wire.Deliver) -> None:
    _take_placed(s, turn, frame.placed)


def _deliveries(s: Session, turn: Turn, frame: wire.Deliveries) -> None:
    for placed in frame.placed:
        _take_placed(s, turn, placed)


def _take_placed(s: Session, turn: Turn, placed: wire.Placed) -> None:
    inbox = s.inboxes.add(placed)
    s.came, s.came_at = s.came + 1, turn.now
    s.came_bytes += len(placed.header) + len(placed.signature) + len(placed.body or b"")
    if s.narrow:
        s.taken += 1
        inbox.gap_since = 0  # as long as anything comes, what it has overtaken still will
    state = records.CHANNELS.get(turn.draft, placed.channel)
    if state is not None and placed.place.seq > state.head:
        records.CHANNELS.put(turn.draft, placed.channel, replace(state, head=placed.place.seq))


def _channels(s: Session, turn: Turn, frame: wire.Channels) -> None:
    if s.errands.close(frame.id) is None:
        _unexpected(s, turn, frame)  # told before, and since then more has come
        return
    s.listed = True
    for listed in frame.channels:
        state = records.CHANNELS.get(turn.draft, listed.channel)
        if state is None or state.left or listed.since > state.since:
            continue
        if listed.seq < state.seq or (listed.seq == state.seq and listed.rolling != state.rolling):
            turn.alarm(
                AlarmKind.SHRUNK if listed.seq < state.seq else AlarmKind.FORKED,
                f"the gateway has this channel at seq {listed.seq}, this device at {state.seq}",
                channel=listed.channel,
                seq=listed.seq,
            )
        elif listed.seq > state.head:
            records.CHANNELS.put(turn.draft, listed.channel, replace(state, head=listed.seq))
    after = bytes(16)
    if not s.narrow:  # it may be long, and who is in the channels is known without
        s.send(Errand("directory", b""), lambda i: wire.GetDirectory(i, after))


def _joined(s: Session, turn: Turn, frame: wire.Joined) -> None:
    state = records.CHANNELS.get(turn.draft, frame.channel)
    if state is not None and max(state.since, state.left) >= frame.seq:
        return  # a welcome seen before
    if state is not None and not state.left and (frame.seq <= state.seq or frame.epoch <= state.epoch):
        turn.alarm(AlarmKind.TREE, "welcomed to a channel this device is in", channel=frame.channel, seq=frame.seq)
        return
    # Or else it was taken out and let in again while it was away: what lies between is not for it.
    named = Joining(frame.seq, frame.epoch, frame.welcome, frame.length, frame.heard.rolling, b"", 0)
    known = records.JOINING.get(turn.draft, frame.channel)
    if known is None or (known.seq, known.welcome) != (named.seq, named.welcome):
        records.JOINING.put(turn.draft, frame.channel, named)


def _named(s: Session, turn: Turn, frame: wire.Named) -> None:
    errand = s.errands.close(frame.id)
    if errand is None:
        return
    named = records.JOINING.get(turn.draft, errand.key)
    offer = records.OFFERS.get(turn.draft, errand.key)
    if named is not None:
        records.JOINING.put(turn.draft, errand.key, replace(named, tree=frame.hash, tree_length=frame.length))
    elif offer is not None:
        records.OFFERS.put(turn.draft, errand.key, replace(offer, tree=frame.hash, tree_length=frame.length))


def _chunk(s: Session, turn: Turn, frame: wire.BodyChunk) -> None:
    errand = s.errands.close(frame.id)
    if errand is None:
        return
    s.came_at = turn.now
    held = records.FETCHED.get(turn.draft, errand.key) or Fetched(errand.number, b"")
    data = held.data + frame.data
    sound = frame.offset == len(held.data) and frame.length == errand.number and 0 < len(data) <= errand.number
    if not sound or not frame.data or (len(data) == errand.number and not fits(data, errand.key)):
        records.FETCHED.delete(turn.draft, errand.key)
        s.given_up.add(errand.key)
        turn.alarm(AlarmKind.GATEWAY, f"another body than {errand.key.hex()[:8]} was handed out")
        return
    records.FETCHED.put(turn.draft, errand.key, Fetched(errand.number, data))


def _key_packages(s: Session, turn: Turn, frame: wire.KeyPackages) -> None:
    errand = s.errands.close(frame.id)
    if errand is None:
        return
    claimed = {c.device: c.package for c in frame.claims}
    for start in range(0, len(errand.key), 16):
        device = errand.key[start : start + 16]
        s.claims[errand.number, device] = claimed.get(device)


def _certificates_came(s: Session, turn: Turn, frame: wire.Certificates) -> None:
    errand = s.errands.close(frame.id)
    if errand is None:
        return
    trusted.absorb(turn, s.trust, frame.entries)
    if errand.kind == "shell":
        _to_shell(s, turn, errand, frame.id, frame)
        return
    for start in range(0, len(errand.key), 32):
        certificate = errand.key[start : start + 32]
        if records.CERTIFICATES.get(turn.draft, certificate) is None:
            s.given_up.add(certificate)


def _proven(s: Session, turn: Turn, frame: wire.Proven) -> None:
    errand = s.errands.close(frame.id)
    if errand is None or errand.kind == "shell":
        _to_shell(s, turn, errand, frame.id, frame)
        return
    if errand.kind == "gossip":
        gossip.answered(s, turn, errand, frame)
        return
    if errand.kind == "fork" and errand.key:
        gossip.forked_at(turn, errand, frame)
        return
    if errand.kind == "fork":
        proof.forked_at(turn, frame, errand.number)
        return
    if errand.kind == "charge":
        proof.charged(turn, errand.key, frame, errand.number)
        return
    asked = [int.from_bytes(errand.key[n : n + 8], "big") for n in range(0, len(errand.key), 8)]
    proved = proof.prove(turn, frame, asked, errand.number)
    for index, record in proved:
        if record.channel == turn.charter.control_channel:
            trusted.proven(turn, index)
        elif s.narrow:
            s.prove_rest = turn.now + proof.PROVED_NARROW
    if proved:
        s.prove_most = proof.ASKED_AT_ONCE
    elif asked:  # else this device has but moved on (`clients.core.gossip`)
        s.prove_after = turn.now + (proof.AGAIN_NARROW if s.narrow else PROVE_AGAIN)
    for certificate in s.wanted:
        kept = records.CERTIFICATES.get(turn.draft, certificate)
        if kept and not kept.proven and not proof.is_expected(turn.draft, kept.index):
            s.given_up.add(certificate)


def _logged(s: Session, turn: Turn, frame: wire.Logged) -> None:
    if proof.look_at(turn, frame.checkpoint):
        s.prove_after = 0


def _charter_note(s: Session, turn: Turn, frame: wire.CharterNote) -> None:
    errand = s.errands.close(frame.id)
    if errand is None or errand.kind != "charter":
        _to_shell(s, turn, errand, frame.id, frame)
        return
    try:
        after = succeed(s.charter, frame.note)
    except CharterRefused as error:
        turn.alarm(AlarmKind.CHARTER, f"a charter that does not follow: {error}", halts=True)
        s.newest_charter = 0
        return
    records.CHARTERS.put(turn.draft, after.policy.version.to_bytes(8, "big"), Note(frame.note))
    s.charter = turn.charter = after
    s.trust.look(turn.draft, after)


def _directory(s: Session, turn: Turn, frame: wire.Directory) -> None:
    errand = s.errands.close(frame.id)
    for person in frame.people:
        peer = Peer(
            person.person,
            person.organisation,
            list(person.roles),
            person.certificate,
            person.not_after,
            person.revoked,
            person.packages,
        )
        records.PEERS.put(turn.draft, person.device, peer)
    if errand is not None and errand.kind == "shell":
        _to_shell(s, turn, errand, frame.id, frame)  # whoever asked turns the pages
    elif len(frame.people) == wire.LIST_LIMIT:
        after = frame.people[-1].device
        s.send(Errand("directory", after), lambda i: wire.GetDirectory(i, after))


def _to_shell(s: Session, turn: Turn, errand: Errand | None, request: int, frame: wire.FromGateway) -> None:
    if errand is not None and errand.kind == "shell":
        turn.events.append(Answered(request, frame))


def _for_shell(s: Session, turn: Turn, frame: wire.Enrolments | wire.Enrolment | wire.Reach | wire.Escalation) -> None:
    _to_shell(s, turn, s.errands.close(frame.id), frame.id, frame)


def _notice(s: Session, turn: Turn, frame: wire.Notice) -> None:
    if frame.alarm is wire.Alarm.LOW_KEY_PACKAGES:
        packages.forget_put(turn)
        s.restock |= {kind.suite for kind in turn.charter.policy.classes}
    elif frame.alarm is wire.Alarm.CHARTER:
        s.newest_charter = s.charter.policy.version + 1
    elif frame.alarm is wire.Alarm.DRAINING:
        turn.events.append(Draining(frame.retry_after))


def _remind(s: Session, turn: Turn, frame: wire.Remind) -> None:
    if reminding.is_known(turn.draft, frame):
        return
    if emergencies.reminded(turn, frame.root):
        reminding.note(turn, frame, shown=True)
    else:
        reminding.take(turn, frame)


def _unexpected(s: Session, turn: Turn, frame: object) -> None:
    turn.alarm(AlarmKind.GATEWAY, f"the gateway sent {type(frame).__name__} for nothing asked")


TAKE: Final[dict[type, Callable[[Session, Turn, Any], None]]] = {
    wire.Accepted: _accepted,
    wire.Refused: _refused,
    wire.Done: _done,
    wire.Deliver: _deliver,
    wire.Deliveries: _deliveries,
    wire.Channels: _channels,
    wire.Joined: _joined,
    wire.Named: _named,
    wire.BodyChunk: _chunk,
    wire.KeyPackages: _key_packages,
    wire.Certificates: _certificates_came,
    wire.Proven: _proven,
    wire.Logged: _logged,
    wire.CharterNote: _charter_note,
    wire.Directory: _directory,
    wire.Enrolments: _for_shell,
    wire.Reach: _for_shell,
    wire.Escalation: _for_shell,
    wire.Enrolment: _for_shell,
    wire.Notice: _notice,
    wire.Remind: _remind,
}


def take(s: Session, turn: Turn, frame: wire.FromGateway) -> None:
    """Act on one frame of the gateway."""
    TAKE.get(type(frame), _unexpected)(s, turn, frame)
