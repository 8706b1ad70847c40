"""Attacks of the catalogue by a member's own device, over TLS and a socket, on a gateway in its own process.

They are those that the core's tests make; here what is held to is the answer that comes back and that nothing was given a place.
"""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from gateway import wire
from gateway.core import limits
from gateway.core.errors import denied
from gateway.web.guard import CONTROL_FRAMES, FRAGMENTS
from gateway.wire import Refusal
from keys import body
from keys.canonical import encode
from keys.charter import sign
from keys.envelope import NOTHING, Kind, Marking, seal
from keys.identity import receipt_stream
from keys.mls import Add, Credential, Remove
from keys.policy import render
from tests.gateway.core.alarm import Alarm
from tests.gateway.core.checks import Scene, accepted, done
from tests.gateway.core.test_alerts import ANNOUNCED, FALSE, SENT, ack
from tests.gateway.core.test_kinds import bound_elsewhere, other_content
from tests.gateway.core.test_requests import claim, put
from tests.gateway.core.test_requests import packages as claimed
from tests.gateway.core.test_resync import outside
from tests.gateway.core.test_roster import foreign_sender, trusting
from tests.gateway.core.test_submit import longer_integer, other_signature, submit
from tests.gateway.core.world import Party
from tests.gateway.web.live import Link, Live, running, ws_frame


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("attacks") / "gateway") as live:
        yield live


@pytest.fixture(autouse=True)
def fresh_links(live: Live) -> Iterator[None]:
    yield
    live.disconnect()
    assert "fault" not in live.gateway.errors
    assert live.gateway.errors.replace("\n", "").isprintable(), "attack 74: nothing that a terminal obeys"


@pytest.fixture
def s(live: Live) -> Scene:
    officer, agent = live.enrolled("officer"), live.enrolled("agent")
    channel = officer.create_channel()
    accepted(officer.add(channel, agent))
    agent.join(officer, channel)
    return Scene(live, officer, agent, channel)  # type: ignore[arg-type]


@pytest.fixture
def a(live: Live) -> Alarm:
    chen, dara, agent = (live.enrolled(role) for role in ("officer", "officer", "agent"))
    guest = live.enrolled("guest", house=live.mission.partner)
    channel, other = chen.create_channel("alert"), chen.create_channel("alert", Marking.AMBER_STRICT)
    for where, members in ((channel, (dara, agent, guest)), (other, (dara, agent))):
        accepted(chen.add(where, *members))
        for member in members:
            member.join(chen, where)
    return Alarm(live, chen, dara, agent, guest, channel, other)  # type: ignore[arg-type]


def length(live: Live, member: Party, channel: bytes) -> int:
    """How many places of a channel are taken."""
    done = live.link(member).ask(wire.Fetch(77, channel, 1, 256))
    assert isinstance(done, wire.Done), done
    return done.value


def counted(live: Live, refusal: Refusal) -> float:
    """How often the gateway has said this, by its own counter."""
    with urlopen(f"http://127.0.0.1:{live.gateway.metrics}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    head = f'outrider_refused_total{{refusal="{refusal.name}"}} '
    return sum(float(line.removeprefix(head)) for line in lines if line.startswith(head))


def committed(s: Scene, party: Party, proposals: list[Any], **changes: Any) -> Any:
    """A commit with its parts put, as an honest device puts them."""
    context, pending = party.prepare(s.channel, proposals, **changes)
    for part in (pending.group_info, pending.welcome):
        if part is not None:
            s.world.put(party, part)
    return party.send_commit(s.channel, context, pending)


def ghost(s: Scene) -> Any:
    unapproved = Party(s.world, s.world.mission.device("agent"))
    return committed(s, s.officer, [Add(unapproved.key_package())])


def added_by_an_agent(s: Scene) -> Any:
    return committed(s, s.agent, [Add(s.world.enrolled("agent").key_package())])


def from_outside(s: Scene) -> Any:
    context, pending = outside(s, remove=1)
    return s.agent.send_commit(s.channel, context, pending)


def anothers_identity(s: Scene) -> Any:
    other = s.world.enrolled("officer")
    s.agent.groups[s.channel] = trusting(s.agent.groups[s.channel])
    taken = (Credential.x509([other.der]), other.device.key.seed)
    return committed(s, s.agent, [], new_credential_and_signature_key=taken)


def lost_race(s: Scene) -> Any:
    """Prepared for an epoch that another's commit has ended since: what comes back is signed."""
    context, pending = s.officer.prepare(s.channel, [])
    s.world.put(s.officer, pending.group_info)
    accepted(s.agent.commit(s.channel))
    s.length += 1  # type: ignore[attr-defined]
    return s.officer.send_commit(s.channel, context, pending)


def used_number(s: Scene) -> Any:
    first = s.agent.message(s.channel)
    accepted(submit(s.agent, [first]))
    s.length += 1  # type: ignore[attr-defined]
    return s.agent.send(s.channel, text=b"other")


def of_another_channel(s: Scene) -> Any:
    """A ciphertext of another channel that the device is in, under a header of this one."""
    other = s.officer.create_channel()
    context = s.officer.context(Kind.APPLICATION, s.channel, epoch=1, franking=bytes(32))
    _, data = s.officer.groups[other].protect(
        b"text", authenticated_data=context.authenticated_data(), padding=128, random=s.world.random
    )
    return submit(s.officer, [(seal(context, data, s.officer.device.key), data)])


def after_its_removal(s: Scene) -> Any:
    """What it sealed while it was in, handed in once it is out."""
    message = s.agent.message(s.channel)
    members = s.officer.groups[s.channel].public.members
    leaf = next(m.leaf_index for m in members if m.credential.certificates[0] == s.agent.der)
    accepted(s.officer.commit(s.channel, [Remove(leaf)]))
    s.length += 1  # type: ignore[attr-defined]
    return submit(s.agent, [message])


def before_anothers_removal(s: Scene) -> Any:
    """A member's message of the epoch that ended with a removal: there is no grace."""
    third = s.world.enrolled("agent")
    accepted(s.officer.add(s.channel, third))
    message = s.officer.message(s.channel)
    leaf = max(m.leaf_index for m in s.officer.groups[s.channel].public.members)
    accepted(s.officer.commit(s.channel, [Remove(leaf)]))
    s.length += 2  # type: ignore[attr-defined]
    number, link = s.officer.numbers[s.channel]
    context = s.officer.context(
        Kind.APPLICATION, s.channel, epoch=2, franking=bytes(32), number=number + 1, previous=link
    )
    return submit(s.officer, [(seal(context, message[1], s.officer.device.key), message[1])])


def weaker_suite(s: Scene) -> Any:
    return s.officer.found(bytes(16), "narrow", Marking.AMBER, suite_id=3)


def by_a_stranger(s: Scene) -> Any:
    stranger = s.world.enrolled("officer")
    there, none = (
        stranger.say(Kind.ACK, channel, encode(body.Ack(bytes(32), 0, None, bytes(16))), epoch=1, previous=NOTHING)
        for channel in (s.channel, b"no such channel!")
    )
    assert (there.refusal, there.detail, there.retry_after) == (none.refusal, none.detail, none.retry_after)
    return there


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(ghost, Refusal.SCHEMA, id="attack-08 a device nobody approved"),
        pytest.param(added_by_an_agent, Refusal.ROLE, id="attack-09 added by an agent"),
        pytest.param(from_outside, Refusal.ROLE, id="attack-09 from outside, unbidden"),
        pytest.param(anothers_identity, Refusal.SCHEMA, id="attack-10 another's identity in its leaf"),
        pytest.param(foreign_sender, Refusal.DENIED, id="attack-11 by another leaf"),
        pytest.param(
            lambda s: other_content(s, lambda d: d.replace((1).to_bytes(8), (0).to_bytes(8), 1)),
            Refusal.DENIED,
            id="attack-12 another epoch than its header's",
        ),
        pytest.param(bound_elsewhere, Refusal.SCHEMA, id="attack-25 bound to another context"),
        pytest.param(weaker_suite, Refusal.SCHEMA, id="attack-28 a suite of another class"),
        pytest.param(of_another_channel, Refusal.DENIED, id="attack-30 a ciphertext of another channel"),
        pytest.param(used_number, Refusal.REPLAY, id="attack-30 a number used for other content"),
        pytest.param(
            lambda s: other_signature(s, s.officer.device.key), Refusal.DENIED, id="attack-35 in another member's name"
        ),
        pytest.param(lambda s: claim(s.agent, s.officer.id), Refusal.ROLE, id="attack-37 without the verb to add"),
        pytest.param(
            lambda s: put(s.agent, [s.agent.key_package(listed=()).encode()]),
            Refusal.SCHEMA,
            id="attack-38 a KeyPackage that fits no channel",
        ),
        pytest.param(
            lambda s: s.agent.send(s.channel, marking=Marking.AMBER_STRICT),
            Refusal.TLP,
            id="attack-41 above the ceiling",
        ),
        pytest.param(after_its_removal, Refusal.DENIED, id="attack-43 after its removal"),
        pytest.param(before_anothers_removal, Refusal.EPOCH_STALE, id="attack-43 of the epoch that a removal ended"),
        pytest.param(
            lambda s: other_signature(s, s.agent.device.key, Kind.ACK.label),
            Refusal.DENIED,
            id="attack-45 signed as another kind",
        ),
        pytest.param(
            lambda s: s.agent.send(s.channel, time=s.world.now + limits.CLOCK_AHEAD + 60_000),
            Refusal.CLOCK,
            id="attack-46 a clock far ahead",
        ),
        pytest.param(by_a_stranger, Refusal.DENIED, id="attack-49 a channel there and none"),
        pytest.param(longer_integer, Refusal.CANON, id="attack-71 a header longer than need be"),
    ],
)
def test_a_member_attacks(live: Live, s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    s.length, before = length(live, s.officer, s.channel), counted(live, refusal)  # type: ignore[attr-defined]
    answer = act(s)
    assert answer.refusal is refusal, answer
    assert counted(live, refusal) > before
    if refusal is Refusal.DENIED:
        assert (answer.detail, answer.retry_after) == (denied().detail, 0)
    assert length(live, s.officer, s.channel) == s.length  # type: ignore[attr-defined]


def test_attack_29_an_envelope_again_is_stored_once(live: Live, s: Scene) -> None:
    message = s.agent.message(s.channel)
    first = accepted(submit(s.agent, [message]))
    before = length(live, s.officer, s.channel)
    live.disconnect()
    assert accepted(submit(s.agent, [message])).places == first.places
    assert length(live, s.officer, s.channel) == before


def test_attack_13_who_loses_the_race_is_told_so_under_the_gateways_signature(live: Live, s: Scene) -> None:
    s.length = length(live, s.officer, s.channel)  # type: ignore[attr-defined]
    answer = lost_race(s)
    assert answer.refusal is Refusal.EPOCH_CONFLICT
    assert answer.statement is not None
    assert length(live, s.officer, s.channel) == s.length  # type: ignore[attr-defined]


def test_attack_36_a_key_package_is_handed_out_once(live: Live, s: Scene) -> None:
    target = live.enrolled("agent")
    packages = [target.key_package().encode() for _ in range(2)]
    last = target.key_package(last_resort=True).encode()
    assert done(put(target, packages, last)) == 2
    assert [claimed(claim(s.officer, target.id))[0] for _ in range(4)] == [*packages, last, last]


def test_attack_27_a_charter_by_too_few_is_not_taken(live: Live, s: Scene) -> None:
    """Handed to the gateway by whoever has its machine; it says so, and every session has the charter that it had."""
    before = live.link(s.agent).ask(wire.GetCharter(76, 0)).note
    policy = live.mission.successor(auditors=("gita", "mallory"))
    (live.folder / "charter.note").write_bytes(sign(render(policy), live.mission.authorities[:1]))
    live.gateway.signal(signal.SIGHUP)
    live.gateway.says("not reloaded: CHARTER: signed by 1 of the 2 authority keys")
    (live.folder / "charter.note").unlink()
    assert live.link(s.agent).ask(wire.GetCharter(77, 0)).note == before


# --- alerts -------------------------------------------------------------------------------------------------------------

BY_CLOCK = ("attack-03 its", "attack-04 ended")  # they move the core's clock, or revoke once more


def of(numbers: tuple[str, ...], *tables: list[Any]) -> list[Any]:
    """Those rows of the core's tables that bear these numbers."""
    rows = [row for table in tables for row in table if str(row.id).startswith(numbers)]
    return [row for row in rows if not str(row.id).startswith(BY_CLOCK)]


@pytest.mark.parametrize(("act", "refusal"), of(("attack-01", "attack-02", "attack-03", "attack-04"), ANNOUNCED, SENT))
def test_an_alert_that_may_not_be(live: Live, a: Alarm, act: Callable[[Alarm], Any], refusal: Refusal) -> None:
    before = counted(live, refusal)
    answer = act(a)
    assert answer.refusal is refusal, answer
    assert counted(live, refusal) > before
    sent = length(live, a.dara, a.channel) - length(live, a.dara, a.other)
    assert sent == (1 if refusal is Refusal.REPLAY else 0), "the one that was sent rightly, and no other"


@pytest.mark.parametrize(("make", "refusal"), FALSE)
def test_a_false_stand_down(live: Live, a: Alarm, make: Callable[[Alarm, Any], Any], refusal: Refusal) -> None:
    first = a.out()
    before, said = length(live, a.dara, a.channel), counted(live, refusal)
    answer = a.announce(make(a, first))
    assert answer.refusal is refusal, answer
    assert counted(live, refusal) > said
    assert length(live, a.dara, a.channel) == before
    assert standing(live, a, first.root).ended == 0, "and the alert goes on"


def test_attack_64_attempts_leave_few_entries(live: Live, a: Alarm) -> None:
    """Eight alerts that may not be, one after the other: each is answered, and at most three a minute stand in the log (none, where others
    have tried so often in this minute that the log tells of no more). A slow machine may see two minutes."""
    control = live.charter.control_channel
    before = length(live, a.dara, control)
    for attempt in range(8):
        assert a.announce(a.draft(exercise=True), attempt=attempt).refusal is Refusal.TLP
    assert length(live, a.dara, control) - before <= 2 * limits.ATTEMPTS_OF_ONE


def standing(live: Live, a: Alarm, root: bytes) -> Any:
    return live.link(a.chen).ask(wire.GetEscalation(78, root, 0))


def forged(a: Alarm, root: bytes) -> Any:
    """The agent's answer by the guest's key."""
    data, stream = encode(body.Ack(root, 17, None, bytes(16))), receipt_stream(a.channel)  # type: ignore[arg-type]
    return a.agent.hand_in([(seal(a.agent.context(Kind.ACK, stream), data, a.guest.device.key), data)], stream)


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(lambda a, x: forged(a, x.root), Refusal.DENIED, id="attack-07 by another's key"),
        pytest.param(lambda a, x: ack(a, a.agent, x, 18), Refusal.SCHEMA, id="attack-07 a number of no option"),
        pytest.param(lambda a, x: ack(a, a.agent, x, 17, a.other), Refusal.DENIED, id="attack-07 in another channel"),
    ],
)
def test_an_answer_that_is_none(live: Live, a: Alarm, act: Callable[[Alarm, Any], Any], refusal: Refusal) -> None:
    alert, before = a.out(), counted(live, refusal)
    answer = act(a, alert)
    assert answer.refusal is refusal, answer
    assert counted(live, refusal) > before
    assert standing(live, a, alert.root).answered == 0, "the ladder goes on"
    if getattr(answer, "statement", None) is None:  # else the number is sealed again as another attempt
        accepted(ack(a, a.agent, alert, 17))
        assert standing(live, a, alert.root).answered == 1, "an honest one would have counted"


# --- below the frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        pytest.param(
            ws_frame(2, b"\x91", fin=False) + ws_frame(0, b"\x91", fin=False) * FRAGMENTS,
            {1008},
            id="attack-68 a byte each",
        ),
        pytest.param(
            ws_frame(2, b"\x91", fin=False) + ws_frame(9) * (CONTROL_FRAMES + 1),
            {1008},
            id="attack-68 pings in between",
        ),
        pytest.param(ws_frame(10) * (CONTROL_FRAMES + 1), {1008}, id="attack-68 pong flood"),
        pytest.param(ws_frame(9, masked=False), {1002}, id="attack-69 ping without a mask"),
        pytest.param(ws_frame(9, b"x" * 126), {1002}, id="attack-69 a long ping"),
        pytest.param(ws_frame(0, b"x"), {1002}, id="attack-69 a continuation of nothing"),
        pytest.param(bytes([0xA2, 0x80]) + bytes(4), {1002}, id="attack-69 another reserved bit"),
    ],
)
def test_what_no_honest_client_sends(live: Live, data: bytes, codes: set[int]) -> None:
    link = Link(live.gateway.port)
    link.send_raw(data)
    assert link.closed() in codes


def resident(live: Live) -> int:
    """Bytes of memory that the gateway's process has had at most."""
    status = Path(f"/proc/{live.gateway.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("head", "code"),
    [
        pytest.param(bytes([0x82, 0xFF]) + (2**62).to_bytes(8, "big") + bytes(4), 1009, id="attack-66 2^62 bytes said"),
        pytest.param(bytes([0xC2, 0xFE, 0xFF, 0xFF]) + bytes(4), 1002, id="attack-67 a compressed frame"),
    ],
)
def test_what_is_said_to_come_takes_no_memory(live: Live, head: bytes, code: int) -> None:
    for wave in range(2):  # the first fills the pools of the interpreter
        before = resident(live)
        links = [Link(live.gateway.port) for _ in range(8)]
        for link in links:
            link.send_raw(head + bytes(8_000))
        assert [link.closed() for link in links] == [code] * len(links)
        if wave:
            assert resident(live) - before < 4 * 1024 * 1024


def test_attack_75_strangers_who_say_nothing_keep_nobody_out(live: Live, s: Scene) -> None:
    """Connections without a word of TLS, by the hundred: a member speaks meanwhile, and another comes in."""
    silent = [socket.create_connection(("127.0.0.1", live.gateway.port), 5) for _ in range(300)]
    try:
        accepted(s.agent.send(s.channel))
        live.disconnect()
        accepted(s.agent.send(s.channel))
    finally:
        for one in silent:
            one.close()


HEAD = b"GET /v1/socket HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="attack-70 a long line"),
        pytest.param(HEAD + b"A: " + b"a" * 100_000 + b"\r\n\r\n", id="attack-70 a long header"),
        pytest.param(HEAD + b"".join(b"A%d: a\r\n" % n for n in range(5_000)) + b"\r\n", id="attack-70 many headers"),
    ],
)
def test_a_header_bomb(live: Live, head: bytes) -> None:
    link = Link(live.gateway.port, upgrade=False)
    answer = b""
    try:
        link.send_raw(head)
        while data := link.socket.recv(65_536):
            answer += data
    except (ConnectionError, ssl.SSLError):
        pass
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))


def test_attack_69_what_is_no_tls(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.gateway.port), 5) as raw:
        raw.sendall(HEAD + b"\r\n")
        try:
            said = raw.recv(4_096)
        except ConnectionError:
            said = b""
    assert not said.startswith(b"HTTP/")
