"""The gateway's lies of the catalogue, over TLS and a WebSocket, to a station over its vault. The core's tests tell them all, and by what
they are found out; here it is held to that the shell comes to the same: an alarm with its name, nothing false shown, nothing lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from clients.agent.status import status_lines
from clients.core import records
from clients.core.content import Text, encode_content
from clients.core.errors import NotNow
from clients.core.records import AlarmKind
from clients.station import Station
from gateway import wire
from keys.charter import sign
from keys.envelope import NOTHING, Context, Envelope, Heard, Kind, Marking, Precedence, read, seal
from keys.evidence import check_fork
from keys.evidence import read as read_evidence
from keys.franking import application_data, franking_tag
from keys.identity import ChannelId, receipt_stream
from keys.policy import render
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from tests.attacks import shore
from tests.attacks.shore import Liar, Scene, noticed
from tests.clients.alarms import alone, document
from tests.clients.relay import Line
from tests.keys.mission import Mission


def placed_in(frame: wire.FromGateway, channel: bytes) -> wire.Placed | None:
    return frame.placed if isinstance(frame, wire.Deliver) and frame.placed.channel == channel else None


def other_checkpoint(s: Scene, size: int) -> bytes:
    """Signed by the log's key, of a tree that never was."""
    head = TreeHead(s.world.mission.policy.log_origin, size, bytes(range(32)))
    return sign_checkpoint(head, [s.world.mission.log]).encode()


def texts(ashore: Station, channel: bytes) -> list[str]:
    return [shown.text for shown in ashore.history(channel) if not shown.reason]


# ------------------------------------------------------------------ what was said


def withheld_alert(s: Scene) -> None:
    """The second alert is kept from Ben, the third is not."""
    kept = alone(s.chen, s.alerts, cap=document("MM-2"))
    s.rogue.kept_from = s.ben.id, lambda c: c.alert is not None and c.alert.root == kept
    s.world.run()
    alone(s.chen, s.alerts, cap=document("MM-3"))
    s.world.run()


def reflected(s: Scene) -> None:
    """What Ben said comes back to him at the next place, as if it were new."""
    own = s.own

    def reflect(frame: wire.FromGateway) -> list[wire.FromGateway]:
        placed = placed_in(frame, s.channel)
        if placed is None:
            return [frame]
        return [wire.Deliver(replace(placed, header=own.header, signature=own.signature, body=own.body))]

    s.rogue.lie = reflect
    s.said(s.ana, "new")


def swapped(s: Scene) -> None:
    """Ana's and Chen's next messages change their places."""
    s.rogue.swapped = {s.ben.id: []}
    s.said(s.chen, "wait")
    s.said(s.ana, "the bridge is out")


def left_out(s: Scene) -> None:
    """Ana's next message is skipped, and never served."""
    seq = s.rogue.view.stream(s.channel).seq + 1  # type: ignore[union-attr]
    s.rogue.lie = lambda f: [] if (p := placed_in(f, s.channel)) is not None and p.place.seq == seq else [f]
    s.said(s.ana, "one")
    s.said(s.ana, "two")


def made_up(s: Scene, tag: bytes | None = None, signer: str = "ana") -> None:
    """Ana's member key says "retreat", by a client that is none of ours; the gateway gives it a place."""
    content, salt = encode_content(Text("retreat", s.world.now, False)), bytes(16)
    chain = s.rogue.view.chain(s.channel, s.ana.id)
    state = s.ana.channel(s.channel)
    context = Context(
        version=1,
        kind=Kind.APPLICATION,
        device=s.ana.id,
        channel=s.channel,
        epoch=state.epoch,
        number=chain.number + 1,
        attempt=0,
        previous=chain.link or NOTHING,
        heard=Heard(state.seq, state.rolling),
        time=s.world.now,
        precedence=Precedence.ROUTINE,
        marking=Marking.AMBER,
        expires=0,
        franking=tag or franking_tag(salt, content),
        alert=None,
    )
    group = s.ana.device.session.groups.get(s.ana.ledger, s.channel)
    assert group is not None
    _, body = group.protect(
        application_data(salt, content),
        authenticated_data=context.authenticated_data(),
        padding=128,
        random=s.world.random,
    )
    envelope = seal(context, body, getattr(s, signer).enrolled.key)
    s.rogue._take(wire.Submit(1, [wire.Sealed(envelope.header, envelope.signature, body)]))


# ------------------------------------------------------------------ the log, and the charter


def shrunk_log(s: Scene) -> None:
    """A checkpoint of the same key that is smaller."""
    size = len(s.rogue.leaves)

    def shrink(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Proven):
            return [replace(frame, checkpoint=other_checkpoint(s, size - 9), consistency=[], paths=[])]
        return [frame]

    s.rogue.lie = shrink


def older_channels(s: Scene) -> None:
    """What a gateway says that came up with last night's database."""

    def earlier(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Channels):
            return [replace(frame, channels=[replace(c, seq=c.seq - 1) for c in frame.channels])]
        return [frame]

    s.rogue.lie = earlier


def taken_over(s: Scene, signers: int, keys: int = 1) -> None:
    """A second charter, with the gateway's friends for authorities; signed by so many of the old ones and a quorum of the new."""
    mission, thief = s.world.mission, Mission(9)
    policy = mission.successor(authority_keys=thief.policy.authority_keys) if keys else mission.successor(crl_hours=12)
    note = sign(render(policy), [*mission.authorities[:signers], *(thief.authorities[:2] if keys else ())])

    def hand_out(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Channels):
            return [frame, wire.Notice(wire.Alarm.CHARTER, "a new version of the charter is in force")]
        if isinstance(frame, wire.Refused):  # it has no second version, and is asked for one
            return [wire.CharterNote(frame.id, note)]
        return [frame]

    s.rogue.lie = hand_out


@dataclass(frozen=True)
class Told:
    """What the lie came to."""

    alarm: AlarmKind
    halts: bool = False
    texts: tuple[str, ...] = ("first", "understood")


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        pytest.param(withheld_alert, Told(AlarmKind.GAP), id="attack-06 an alert is withheld from one device"),
        pytest.param(shrunk_log, Told(AlarmKind.SHRUNK), id="attack-15 a log that is shorter than it was"),
        pytest.param(older_channels, Told(AlarmKind.SHRUNK), id="attack-16 channels of an older database"),
        pytest.param(
            lambda s: taken_over(s, 0), Told(AlarmKind.CHARTER, halts=True), id="attack-26 a charter by other keys"
        ),
        pytest.param(
            lambda s: taken_over(s, 1, 0), Told(AlarmKind.CHARTER, halts=True), id="attack-27 a charter by too few"
        ),
        pytest.param(reflected, Told(AlarmKind.RENUMBERED), id="attack-31 its own words come back"),
        pytest.param(
            swapped,
            Told(AlarmKind.NOT_LOGGED, texts=("first", "understood", "the bridge is out", "wait")),
            id="attack-32 two messages exchanged",
        ),
        pytest.param(left_out, Told(AlarmKind.GAP), id="attack-33 one sender's message is left out"),
        pytest.param(
            lambda s: made_up(s, signer="chen"),
            Told(AlarmKind.FORGED),
            id="attack-35 Chen signs what Ana is to have said",
        ),
        pytest.param(
            lambda s: made_up(s, tag=franking_tag(bytes(16), b"another")),
            Told(AlarmKind.FRANKING),
            id="attack-44 content other than its tag",
        ),
    ],
)
async def test_a_lie(tmp_path: Path, lie: Callable[[Scene], None], told: Told) -> None:
    s = shore.scene()
    charter = s.world.mission.charter
    lie(s)
    async with shore.station(s, s.ben, tmp_path) as ben, ben.session():
        (alarm, *_) = await noticed(ben, told.alarm)
        assert alarm.halts is told.halts
        assert texts(ben, s.channel) == list(told.texts), "nothing is shown as if it were whole"
        assert ben.charter.hash == charter.hash


async def test_attack_14_two_trees_of_one_size_halt_all_and_leave_a_file(tmp_path: Path) -> None:
    s = shore.scene()
    async with shore.station(s, s.ben, tmp_path) as ben:
        await ben.sync()
        held = ben.checkpoint()
        assert held is not None
        async with ben.session():
            s.rogue.sessions[s.ben.id].inbound.append(wire.Logged(other_checkpoint(s, held.size)))
            (alarm,) = await noticed(ben, AlarmKind.FORKED)
        assert alarm.halts
        ((_, file),) = ben.evidence()
        assert "two trees" in check_fork(read_evidence(file), ben.charter)
        with pytest.raises(NotNow, match="halted"):
            ben.send(s.channel, "anybody?")


async def test_attack_34_a_link_and_nothing_new_is_told_as_such(tmp_path: Path) -> None:
    """Nothing comes and nothing is proved; the newest checkpoint is eleven minutes old."""
    s = shore.scene()
    s.rogue.kept_from = s.ben.id, lambda _: True
    s.rogue.mute = True
    s.said(s.chen, "everybody out")
    async with shore.station(s, s.ben, tmp_path) as ben, ben.session():
        said = status_lines(ben.status(), "GOOD")
    assert any("keeping all from you" in line for line in said)


async def test_attack_39_another_channels_tree_is_joined_by_nobody(tmp_path: Path) -> None:
    s = shore.scene()
    eve = s.world.party("Eve", "agent")
    eve.disconnect()
    s.world.intend(s.chen, records.Intent(s.channel, [eve.id], [], renew=False, rekey=False, automatic=False))
    other = s.rogue.view.tree(s.alerts, 2)
    assert other is not None
    tree = s.rogue.view.blob(other[0], 0, other[1])

    def swap(frame: wire.FromGateway) -> list[wire.FromGateway]:
        if isinstance(frame, wire.Named):
            return [wire.Named(frame.id, *other)]
        if isinstance(frame, wire.Refused) and frame.refusal is wire.Refusal.DENIED:  # it may not have that one
            return [wire.BodyChunk(frame.id, other[1], 0, tree or b"")]
        return [frame]

    s.rogue.victim, s.rogue.lie = eve.id, swap
    async with shore.station(s, eve, tmp_path) as ashore, ashore.session():
        (alarm,) = await noticed(ashore, AlarmKind.TREE)
        assert alarm.channel == s.channel
        assert not ashore.channels(), "nothing is kept of it"


async def test_attack_51_many_messages_make_one_receipt(tmp_path: Path) -> None:
    """Whoever sends much to see whether somebody is there learns it once; other channels than those that are shared learn nothing."""
    s = shore.scene()
    given: list[Context] = []

    class Watching(Liar):
        def to_gateway(self, line: Line, frame: wire.FromDevice) -> list[wire.FromDevice]:
            if isinstance(frame, wire.Submit) and line.who.device == s.ben.id:
                contexts = [read(Envelope(one.header, one.signature)).context for one in frame.run]
                given.extend(c for c in contexts if c.kind is Kind.RECEIPT)
            return [frame]

    s.rogue.__class__ = Watching
    async with shore.station(s, s.ben, tmp_path) as ben:
        await ben.sync()
        async with ben.session():
            given.clear()
            for n in range(5):
                s.said(s.ana, f"{n}")
            await shore.until(lambda: texts(ben, s.channel)[-1:] == ["4"], "the messages")
            await ben.sync()
    shared = {receipt_stream(ChannelId(c)) for c in (s.channel, s.alerts)}
    assert {c.channel for c in given} <= shared
    assert len(given) <= 2 * len(shared), "what is due when it comes online, and one after"
