"""The gateway as a process: sessions over TLS 1.3, delivery, proofs, the log's read path, and what it does not let itself be done."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any

import pytest

from gateway import wire
from gateway.core.errors import Refused
from gateway.web.guard import CONTROL_FRAMES, FRAGMENTS
from gateway.web.line import CUT_OFF, REPLACED
from gateway.wire import FRAME_LIMIT, Refusal
from keys.canonical import encode
from keys.envelope import NOTHING, Entry, Kind, Marking, Precedence
from keys.identity import receipt_stream
from keys.statement import verify_promise
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.entry import decode_bundle
from keys.tlog.merkle import check_consistency, check_inclusion, leaf_hash
from tests.gateway.core.world import Party
from tests.gateway.web.live import Closed, Link, Live, command, greet, running, ws_frame
from tests.waiting import PATIENCE, wait


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("live") / "gateway") as live:
        yield live


@pytest.fixture(autouse=True)
def fresh_links(live: Live) -> Iterator[None]:
    yield
    live.disconnect()


@pytest.fixture
def officer(live: Live) -> Party:
    return live.enrolled("officer")


@pytest.fixture
def agent(live: Live) -> Party:
    return live.enrolled("agent")


@pytest.fixture
def channel(live: Live, officer: Party, agent: Party) -> bytes:
    channel = officer.create_channel()
    assert isinstance(officer.add(channel, agent), wire.Accepted)
    return channel


def follow(live: Live, party: Party, *positions: wire.Position) -> Link:
    link = live.link(party)
    answer = link.ask(wire.Follow(90, list(positions)))
    assert isinstance(answer, wire.Channels), answer
    return link


def deliveries(link: Link, channel: bytes, count: int) -> list[wire.Placed]:
    """The next deliveries of one stream."""
    found: list[wire.Placed] = []
    while len(found) < count:
        placed = link.until(wire.Deliver).placed
        if placed.channel == channel:
            found.append(placed)
    return found


# ---------------------------------------------------------------------- sessions


def test_only_tls_1_3_is_spoken(live: Live) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", live.gateway.port), PATIENCE) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw)


def test_the_certificate_has_the_key_that_the_request_names(live: Live) -> None:
    link = Link(live.gateway.port)
    assert link.socket.version() == "TLSv1.3"
    assert [link.tls_key] == live.request.tls_keys
    link.close()


def test_a_device_comes_in(live: Live, agent: Party) -> None:
    link = Link(live.gateway.port)
    assert isinstance(greet(link, agent, live.charter), wire.Ready)
    link.close()


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param("stranger", id="attack-49 a device nobody knows"),
        pytest.param("tls", id="attack-54 another TLS key seen"),
        pytest.param("key", id="attack-53 another key"),
    ],
)
def test_a_wrong_proof_is_denied_alike_and_ends_the_connection(live: Live, agent: Party, break_it: str) -> None:
    party = agent
    if break_it != "tls":
        other = live.mission.device("agent")
        party = Party(live, other)  # type: ignore[arg-type]
        if break_it == "key":
            party.device = type(other)(other.key, agent.device.certified)  # type: ignore[union-attr]
    link = Link(live.gateway.port)
    answer = greet(link, party, live.charter, tls_key=bytes(32) if break_it == "tls" else None)
    assert answer == wire.Refused(0, Refusal.DENIED, "not for this device", 0, None)
    assert link.closed() == 1008


def test_only_strangers_questions_are_heard_before_the_proof(live: Live) -> None:
    link = Link(live.gateway.port)
    assert link.ask(wire.GetCharter(1, 0)).note == live.charter.note
    for frame in (
        wire.GetDirectory(2, bytes(16)),
        wire.Follow(3, []),
        wire.Prove(4, 0, [0]),
        wire.GetBody(5, bytes(32), 0),
    ):
        assert link.ask(frame).refusal is Refusal.DENIED
    assert link.ask(wire.AwaitEnrolment(6, bytes(32))).refusal is Refusal.DENIED
    assert link.ask(wire.Enrol(7, bytes(32), b"x")).refusal is Refusal.DENIED
    link.close()


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        pytest.param(b"", Refusal.SCHEMA, id="attack-71 nothing"),
        pytest.param(b"\xc1", Refusal.SCHEMA, id="attack-71 not msgpack"),
        pytest.param(encode(wire.GetCharter(1, 0)) + b"\x00", Refusal.SCHEMA, id="attack-71 trailing byte"),
        pytest.param(
            encode(wire.GetCharter(1, 0))[:-1] + b"\xcc\x00", Refusal.CANON, id="attack-71 integer longer than need be"
        ),
        pytest.param(b"\x93\x7f\x01\x02", Refusal.SCHEMA, id="attack-71 unknown tag"),
        pytest.param(b"\x91" * 60_000, Refusal.SCHEMA, id="attack-71 deep nesting"),
    ],
)
def test_a_frame_that_is_none_is_refused_and_ends_the_connection(live: Live, data: bytes, refusal: Refusal) -> None:
    link = Link(live.gateway.port)
    link.send_raw(ws_frame(2, data))
    answer = link.receive()
    assert (answer.id, answer.refusal) == (0, refusal)
    assert link.closed() == 1008


def test_a_second_session_of_a_device_ends_the_first(live: Live, agent: Party) -> None:
    first = live.connect(agent)
    second = live.connect(agent)
    assert first.closed() == REPLACED
    assert isinstance(second.ask(wire.Follow(1, [])), wire.Channels)
    second.close()


# ---------------------------------------------------------------------- what an honest client never sends


def end_of(link: Link) -> int | None:
    return link.closed()


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        pytest.param(ws_frame(2, b"x" * 200, masked=False), {1002}, id="attack-69 no mask"),
        pytest.param(ws_frame(2, b"x" * (FRAME_LIMIT + 1)), {1009}, id="attack-66 one byte over the limit"),
        pytest.param(
            bytes([0x82, 0xFF]) + (2**62).to_bytes(8, "big") + bytes(4), {1009}, id="attack-66 a length of 2^62"
        ),
        pytest.param(
            ws_frame(2, b"x", fin=False) + ws_frame(0, fin=False) * FRAGMENTS,
            {1008},
            id="attack-68 empty continuations",
        ),
        pytest.param(ws_frame(9) * (CONTROL_FRAMES + 1), {1008}, id="attack-68 ping flood"),
        pytest.param(ws_frame(1, b"text"), {1003}, id="text"),
        pytest.param(bytes([0xC2, 0x80]) + bytes(4), {1002}, id="attack-67 compressed without having agreed to it"),
        pytest.param(bytes([0x83, 0x80]) + bytes(4), {1002}, id="attack-69 reserved opcode"),
        pytest.param(ws_frame(9, fin=False), {1002}, id="attack-69 fragmented ping"),
        pytest.param(ws_frame(8, (1005).to_bytes(2, "big")), {1002}, id="attack-69 bad close code"),
    ],
)
def test_bad_frames_end_the_connection(live: Live, data: bytes, codes: set[int]) -> None:
    link = Link(live.gateway.port)
    link.send_raw(data)
    assert end_of(link) in codes
    assert "fault" not in live.gateway.errors


def test_the_largest_frame_is_taken(live: Live) -> None:
    link = Link(live.gateway.port)
    link.send_raw(ws_frame(2, b"\x91" * FRAME_LIMIT))
    assert link.receive().refusal is Refusal.SCHEMA
    link.close()


def test_pings_within_the_budget_are_answered(live: Live) -> None:
    link = Link(live.gateway.port)
    link.send_raw(ws_frame(9, b"a") * 20)
    assert [link.message() for _ in range(20)] == [(10, b"a")] * 20
    link.close()


def test_nothing_said_ends_the_connection_after_a_while(live: Live) -> None:
    silent, half = Link(live.gateway.port), Link(live.gateway.port)
    headers = Link(live.gateway.port, upgrade=False)
    headers.send_raw(b"GET /v1/socket HTTP/1.1\r\nHost:")
    half.send_raw(ws_frame(2, b"x" * 100)[:30])
    raw = socket.create_connection(("127.0.0.1", live.gateway.port), PATIENCE)  # no TLS handshake
    begun = time.monotonic()
    assert silent.closed() == 1008
    assert half.closed() in (1008, None)
    assert headers.closed() is None
    assert raw.recv(1) == b""
    assert time.monotonic() - begun > 10, "2 kbit/s need that long"
    raw.close()


# ---------------------------------------------------------------------- delivery


def test_a_message_goes_from_one_to_the_other(live: Live, officer: Party, agent: Party, channel: bytes) -> None:
    link = follow(live, agent)
    joined = link.until(wire.Joined)
    assert (joined.channel, joined.seq) == (channel, 2)
    accepted = officer.send(channel, b"east gate")
    assert isinstance(accepted, wire.Accepted)
    [placed] = deliveries(link, channel, 1)
    assert placed.place == accepted.places[0]
    assert placed.body is not None
    mine = follow(live, officer, wire.Position(channel, 2))
    [echo] = deliveries(mine, channel, 1)
    assert (echo.place, echo.header, echo.body) == (placed.place, placed.header, None)


def test_joining_and_leaving_while_connected(live: Live, officer: Party) -> None:
    guest = live.enrolled("agent")
    link = follow(live, guest)
    channel = officer.create_channel()
    officer.add(channel, guest)
    joined = link.until(wire.Joined)
    assert (joined.channel, joined.seq) == (channel, 2)
    body = link.ask(wire.GetBody(3, joined.welcome, 0))
    assert sha256(body.data).digest() == joined.welcome
    officer.send(channel)
    assert deliveries(link, channel, 1)[0].place.seq == 3
    from keys.mls import Remove

    leaf = next(m.leaf_index for m in officer.groups[channel].members if m.leaf_index)
    assert isinstance(officer.commit(channel, [Remove(leaf)]), wire.Accepted)
    officer.send(channel)
    assert deliveries(link, channel, 1)[0].place.seq == 4
    link.socket.settimeout(0.7)
    with pytest.raises(TimeoutError):
        deliveries(link, channel, 1)


def burst(live: Live, party: Party, channel: bytes, count: int) -> list[Any]:
    """Many messages without waiting for answers in between: the answers, in the order of sending."""
    link = live.link(party)
    for n in range(count):
        envelope, data = party.message(channel)
        number, _ = party.numbers[channel]
        party.numbers[channel] = (number + 1, envelope.link)
        link.send(wire.Submit(1_000 + n, [wire.Sealed(envelope.header, envelope.signature, data)]))
    answers: dict[int, Any] = {}
    while len(answers) < count:
        answer = link.receive()
        if isinstance(answer, wire.Accepted | wire.Refused):
            answers[answer.id] = answer
    return [answers[1_000 + n] for n in range(count)]


def test_the_window_stops_delivery_and_a_cursor_opens_it(
    live: Live, officer: Party, agent: Party, channel: bytes
) -> None:
    count = 100
    burst(live, officer, channel, count)
    link = live.link(agent)
    link.ask(wire.Follow(90, [wire.Position(channel, 2)], wire.CHUNK))
    got: list[wire.Placed] = []
    while sum(len(encode(placed)) for placed in got) < wire.CHUNK:
        got.append(link.until(wire.Deliver).placed)
    link.socket.settimeout(0.5)
    with suppress(TimeoutError):
        while True:
            got.append(link.until(wire.Deliver).placed)
    seqs = [p.place.seq for p in got if p.channel == channel]
    assert seqs == list(range(3, len(seqs) + 3))
    under_way, last = sum(len(encode(p)) for p in got), len(encode(got[-1]))
    assert under_way - last < wire.CHUNK <= under_way, "as much as was asked for, and no more than one over it"
    link.socket.settimeout(PATIENCE)
    for at in (seqs[-1], seqs[-1] + 20):
        link.send(wire.Cursor(wire.Position(channel, at)))
    rest = deliveries(link, channel, count - len(seqs))
    assert [p.place.seq for p in rest] == list(range(seqs[-1] + 1, count + 3))


def test_a_backlog_comes_several_in_a_frame(live: Live, officer: Party, agent: Party, channel: bytes) -> None:
    burst(live, officer, channel, 150)
    link = live.link(agent)
    link.send(wire.Follow(90, [wire.Position(channel, 2)]))
    seqs: list[int] = []
    most = 0
    while len(seqs) < 150:
        opcode, payload = link.message()
        frame = wire.read_from_gateway(payload) if opcode == 2 else None
        if isinstance(frame, wire.Deliver | wire.Deliveries):
            some = [frame.placed] if isinstance(frame, wire.Deliver) else frame.placed
            most = max(most, len(some))
            seqs += [p.place.seq for p in some if p.channel == channel]
    assert seqs == list(range(3, 153))
    assert most > 32


def test_a_flash_overtakes_the_backlog(live: Live, officer: Party, agent: Party, channel: bytes) -> None:
    for _ in range(20):
        officer.send(channel)
    officer.send(channel, precedence=Precedence.FLASH)
    link = follow(live, agent, wire.Position(channel, 2))
    assert [p.place.seq for p in deliveries(link, channel, 21)] == [23, *range(3, 23)]


def test_a_gap_is_fetched_again(live: Live, officer: Party, agent: Party, channel: bytes) -> None:
    for _ in range(5):
        officer.send(channel)
    link = live.link(agent)
    done = link.ask(wire.Fetch(5, channel, 4, 6))
    assert done == wire.Done(5, 3)
    assert [p.place.seq for p in deliveries(link, channel, 3)] == [4, 5, 6]
    assert link.ask(wire.Fetch(6, channel, 1, 1_000)).refusal is Refusal.LIMIT
    stranger = live.enrolled("agent")
    assert live.link(stranger).ask(wire.Fetch(7, channel, 4, 6)).refusal is Refusal.DENIED


def test_a_receipt_reaches_whom_it_covers_and_officers_only(live: Live, officer: Party, agent: Party) -> None:
    from keys import body

    other = live.enrolled("agent")
    channel = officer.create_channel()
    officer.add(channel, agent, other)
    accepted = officer.send(channel)
    bystander = follow(live, other)
    sender = follow(live, officer)
    seq = accepted.places[0].seq
    receipt = encode(body.Receipt(channel, [body.Range(seq, seq, NOTHING)], [], [], None))
    stream = receipt_stream(channel)  # type: ignore[arg-type]
    answer = agent.say(Kind.RECEIPT, stream, receipt, marking=Marking.AMBER)
    assert isinstance(answer, wire.Accepted), answer
    [placed] = deliveries(sender, stream, 1)
    assert placed.body == receipt
    bystander.socket.settimeout(0.7)
    with pytest.raises(TimeoutError):
        deliveries(bystander, stream, 1)


def test_many_requests_may_be_on_their_way(live: Live, officer: Party, channel: bytes) -> None:
    answers = burst(live, officer, channel, 200)
    assert all(isinstance(answer, wire.Accepted) for answer in answers)
    places = [answer.places[0].seq for answer in answers]
    assert places == list(range(places[0], places[0] + 200))


def test_a_slow_reader_costs_others_nothing(live: Live, officer: Party, agent: Party, channel: bytes) -> None:
    """All is accepted while it still sits there: had anybody waited for it, they would have waited until it was dropped."""
    text = b"x" * 20_000
    for _ in range(5):  # a machine that stands still for long drops it meanwhile, and has told nothing
        slow, before = live.connect(agent, receive_buffer=4_096), dropped(live)
        slow.send(wire.Follow(1, [wire.Position(channel, 2)]))
        for _ in range(80):
            assert isinstance(officer.send(channel, text), wire.Accepted)
        after = dropped(live)
        slow.close()
        if after == before:
            return
    pytest.fail("whenever 80 messages were accepted, the slow reader had been dropped")


def test_a_reader_that_never_reads_is_dropped(live: Live, officer: Party, agent: Party, channel: bytes) -> None:
    slow = live.connect(agent, receive_buffer=4_096)
    slow.send(wire.Follow(1, [wire.Position(channel, 2)]))
    before = dropped(live)
    for _ in range(80):
        officer.send(channel, b"x" * 40_000)
    wait(lambda: dropped(live) > before, "it is dropped")
    slow.close()
    again = follow(live, agent, wire.Position(channel, 2))  # its mail is still there
    assert deliveries(again, channel, 1)[0].place.seq == 3


def dropped(live: Live) -> float:
    """How many slow readers have been dropped."""
    lines = (line for line in page(live, "/metrics").splitlines() if 'reason="slow"' in line)
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def page(live: Live, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", live.gateway.metrics, timeout=PATIENCE)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


# ---------------------------------------------------------------------- who may not any more


def notices(link: Link) -> list[wire.Alarm]:
    """Everything that is noticed until the gateway cuts the session off."""
    found: list[wire.Alarm] = []

    def read() -> None:
        while True:
            found.append(link.until(wire.Notice).alarm)

    with pytest.raises(Closed) as closed:
        read()
    assert closed.value.code == CUT_OFF
    return found


def test_a_revoked_device_is_cut_off(live: Live) -> None:
    lost = live.enrolled("agent")
    link = follow(live, lost)
    live.publish_list("Meridian", [lost.device.certified.serial], number=2)  # type: ignore[union-attr]
    assert notices(link) == [wire.Alarm.LOW_KEY_PACKAGES, wire.Alarm.CUT_OFF]
    assert greet(Link(live.gateway.port), lost, live.charter).refusal is Refusal.REVOKED


def test_an_expired_device_is_cut_off(live: Live) -> None:
    brief, link, ends = briefly(live, 2_000)
    assert notices(link) == [wire.Alarm.LOW_KEY_PACKAGES, wire.Alarm.CUT_OFF]
    assert live.now >= ends
    assert greet(Link(live.gateway.port), brief, live.charter).refusal is Refusal.EXPIRED


def briefly(live: Live, life: int) -> tuple[Party, Link, int]:
    """A device in session whose certificate ends some ms from now: it is given longer where it did not come in before."""
    now = live.now // 1000 * 1000
    try:
        party = live.enrolled("agent", life=(now - 60_000, now + life))
        link = Link(live.gateway.port)
        if isinstance(greet(link, party, live.charter), wire.Ready):
            link.ask(wire.Follow(90, []))
            return party, link, now + life
    except (Refused, Closed):
        pass
    return briefly(live, life * 3)


# ---------------------------------------------------------------------- proofs


def test_what_was_accepted_is_proved(live: Live, officer: Party, channel: bytes) -> None:
    envelope, data = officer.message(channel)
    accepted = officer.hand_in([(envelope, data)], channel)
    place = accepted.places[0]
    link = live.link(officer)
    proven = link.prove([place.index, 0])
    held = checkpoint(live, proven.checkpoint)
    assert len(proven.checkpoint) < 300
    leaf = encode(Entry(1, place.time, place.nonce, channel, place.seq, envelope.header, envelope.signature))
    check_inclusion(leaf_hash(leaf), place.index, held.size, proven.paths[0].hashes, held.root)
    officer.send(channel)
    again = link.prove([held.size], held.size)
    newer = checkpoint(live, again.checkpoint)
    check_consistency(held.size, held.root, newer.size, newer.root, again.consistency)
    assert newer.size > held.size
    assert link.ask(wire.Prove(11, 0, [10**6])).refusal is Refusal.DENIED
    assert link.ask(wire.Prove(12, 10**6, [])).refusal is Refusal.DENIED


def test_a_promise_names_the_entry(live: Live, officer: Party) -> None:
    channel = live.random(16)
    accepted = officer.found(channel, "narrow", Marking.AMBER)
    assert accepted.promise is not None
    proven = live.link(officer).prove([accepted.places[0].index])
    assert proven.paths
    officer.numbers[channel] = (1, NOTHING)
    with pytest.raises(Exception, match="another entry"):
        verify_promise(accepted.promise, live.charter.policy.gateway_key, bytes(32))


def test_logged_comes_to_who_waits_for_it(live: Live, officer: Party, agent: Party, channel: bytes) -> None:
    link = follow(live, agent)
    accepted = officer.send(channel)
    deliveries(link, channel, 1)
    size = 0
    while size <= accepted.places[0].index:
        size = checkpoint(live, link.until(wire.Logged).checkpoint).size


# ---------------------------------------------------------------------- the log's read path


@pytest.fixture(scope="module")
def tokens(live: Live) -> dict[str, str]:
    made = {}
    for role, name in (("auditor", "gita"), ("auditor", "nobody"), ("witness", "w1")):
        done = command("log", "token", "--config", live.folder / "gateway.toml", "--role", role, "--name", name)
        assert done.returncode == 0, done.stderr
        made[name] = done.stdout.strip()
    return made


def get(live: Live, path: str, token: str = "", method: str = "GET") -> tuple[int, bytes, http.client.HTTPMessage]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", live.gateway.port, timeout=PATIENCE, context=context)
    connection.putrequest(method, path, skip_accept_encoding=True)
    if token:
        connection.putheader("Authorization", f"Bearer {token}")
    connection.endheaders()
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data, answer.headers


def checkpoint(live: Live, note: bytes) -> Checkpoint:
    return open_checkpoint(note, [live.charter.log_verifier()], live.charter.policy.log_origin)


def outside(live: Live, token: str) -> bytes:
    """What a witness is shown: from the moment on that there is one to show it to."""
    shown: bytes = wait(lambda: get(live, "/log/checkpoint", token)[1], "a checkpoint that is shown outside")
    return shown


def test_a_witness_is_shown_padded_sizes_and_nothing_between(
    live: Live, tokens: dict[str, str], officer: Party, channel: bytes
) -> None:
    while True:
        shown = checkpoint(live, outside(live, tokens["w1"]))
        assert shown.size % 8 == 0
        assert checkpoint(live, get(live, "/log/witnessed", tokens["gita"])[1]).size >= shown.size
        assert get(live, "/log/witnessed", tokens["w1"])[0] == 404
        place = officer.send(channel).places[0]
        live.link(officer).prove([place.index])
        newest = checkpoint(live, get(live, "/log/checkpoint", tokens["gita"])[1])
        assert newest.size > shown.size
        if newest.size % 256 and newest.size // 256 == shown.size // 256:  # else full tiles have replaced partial ones
            break
    for size in (shown.size, newest.size):
        number, width = divmod(size, 256)
        tile = f"/log/tile/0/{number:03d}.p/{width}" if width else f"/log/tile/0/{number - 1:03d}"
        assert get(live, tile, tokens["gita"])[0] == 200
        found = get(live, tile, tokens["w1"])[0]
        if outside(live, tokens["w1"]) == shown.encode():  # else it has been shown more meanwhile
            assert found == (200 if size == shown.size else 404)


def test_a_checkpoint_is_read_with_a_token(live: Live, tokens: dict[str, str]) -> None:
    outside(live, tokens["w1"])
    for name in ("gita", "w1"):
        status, note, headers = get(live, "/log/checkpoint", tokens[name])
        assert status == 200
        assert checkpoint(live, note).size > 0
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "immutable" not in headers["Cache-Control"]


def test_tiles_and_entries(live: Live, tokens: dict[str, str], officer: Party) -> None:
    while not (size := checkpoint(live, get(live, "/log/checkpoint", tokens["gita"])[1]).size) % 256:
        officer.create_channel()  # a multiple of 256 has no partial tile
    number, width = divmod(size, 256)
    tile = f"/log/tile/0/{number:03d}.p/{width}"
    status, data, headers = get(live, tile, tokens["gita"])
    assert (status, len(data)) == (200, 32 * width)
    assert "immutable" in headers["Cache-Control"]
    entries = f"/log/tile/entries/{number:03d}.p/{width}"
    assert get(live, entries, tokens["gita"])[0] == 200
    assert get(live, entries, tokens["w1"])[0] == 404


def test_receipts_are_for_auditors(live: Live, tokens: dict[str, str], officer: Party, agent: Party) -> None:
    from keys import body

    channel = officer.create_channel()
    officer.add(channel, agent)
    seq = officer.send(channel).places[0].seq
    receipt = encode(body.Receipt(channel, [body.Range(seq, seq, NOTHING)], [], [], None))
    accepted = agent.say(Kind.RECEIPT, receipt_stream(channel), receipt)  # type: ignore[arg-type]
    assert isinstance(accepted, wire.Accepted)
    number, place = divmod(accepted.places[0].index, 256)
    live.link(agent).prove([accepted.places[0].index])  # answered once a checkpoint covers it
    size = checkpoint(live, get(live, "/log/checkpoint", tokens["gita"])[1]).size
    width = min(256, size - 256 * number)
    path = f"/log/receipts/{number:03d}" + ("" if width == 256 else f".p/{width}")
    status, data, _ = get(live, path, tokens["gita"])
    assert status == 200
    assert decode_bundle(data, width)[place] == receipt
    assert get(live, path, tokens["w1"])[0] == 404
    assert get(live, path.replace("receipts/", "receipts/../receipts/"), tokens["gita"])[0] == 404


def test_published_bodies_only(live: Live, tokens: dict[str, str], officer: Party, channel: bytes) -> None:
    digest = sha256(live.charter.note).hexdigest()
    assert get(live, f"/log/body/{digest}", tokens["gita"])[1] == live.charter.note
    assert get(live, f"/log/body/{digest}", tokens["w1"])[0] == 404
    assert get(live, f"/log/body/{digest.upper()}", tokens["gita"])[0] == 404
    envelope, data = officer.message(channel)
    officer.hand_in([(envelope, data)], channel)
    assert get(live, f"/log/body/{sha256(data).hexdigest()}", tokens["gita"])[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/log/../gateway.toml", id="attack-61 above"),
        pytest.param("/log/tile/0/../../../gateway.db", id="attack-61 above the tiles"),
        pytest.param("/log/%74ile/0/000", id="attack-61 percent-encoded"),
        pytest.param("/log/tile/0/%2e%2e/checkpoint", id="attack-61 percent-encoded dots"),
        pytest.param("/log//checkpoint", id="attack-61 two slashes"),
        pytest.param("/log/checkpoint/", id="attack-61 trailing slash"),
        pytest.param("/log/checkpoint?x=1", id="query"),
        pytest.param("/log/tile/0/-01", id="attack-61 negative"),
        pytest.param("/log/tile/8/000", id="attack-61 level too high"),
        pytest.param("/log/tile/0/x000/001.p/1", id="attack-61 leading group of zeros"),
        pytest.param("/log/tile/0/000.p/256", id="attack-61 full width as partial"),
        pytest.param("/log/tile/0/000.p/0", id="attack-61 width 0"),
        pytest.param("/log/tile/0/" + "x999/" * 300 + "999", id="attack-61 endless index"),
        pytest.param("/log/tile/0/x999/x999/999", id="beyond the log"),
        pytest.param("/log/body/" + "0" * 64, id="a body that is not there"),
        pytest.param("/log/body/../checkpoint", id="attack-61 body above"),
        pytest.param("/log/.new-checkpoint", id="passing file"),
        pytest.param("/log/", id="the folder"),
    ],
)
def test_every_other_path_is_the_same_404(live: Live, tokens: dict[str, str], path: str) -> None:
    status, data, _ = get(live, path, tokens["gita"])
    assert (status, data) in ((404, b""), (400, data))
    assert status == 404 or len(path) > 1_000
    assert get(live, path)[0] == status


def test_without_a_token_that_counts_nothing_is_there(live: Live, tokens: dict[str, str]) -> None:
    wrong = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    for token in ("", wrong, tokens["nobody"], tokens["gita"] + "x", tokens["gita"][:-1]):
        assert get(live, "/log/checkpoint", token)[:2] == (404, b"")


def test_a_new_token_takes_the_place_of_the_old(live: Live) -> None:
    first, second = (
        command(
            "log", "token", "--config", live.folder / "gateway.toml", "--role", "witness", "--name", "w2"
        ).stdout.strip()
        for _ in range(2)
    )
    assert get(live, "/log/checkpoint", first)[0] == 404
    outside(live, second)


def test_health_and_metrics(live: Live) -> None:
    assert get(live, "/livez")[:2] == (200, b"ok\n")
    assert get(live, "/readyz")[:2] == (200, b"ok\n")
    assert get(live, "/metrics")[0] == 404
    assert get(live, "/")[0] == 404
    assert get(live, "/log/checkpoint", method="POST")[0] == 404
    text = page(live, "/metrics")
    for name in (
        "outrider_accepted_total",
        "outrider_sessions",
        "outrider_log_size",
        "outrider_checkpoint_age_seconds",
    ):
        assert f"\n{name} " in text
    assert page(live, "/readyz") == "ok\n"


def test_nothing_was_a_fault_of_ours(live: Live) -> None:
    """Last of the module: whatever the tests above did, no trace was logged."""
    assert "fault:" not in live.gateway.errors
    assert "\noutrider_faults_total 0.0" in page(live, "/metrics")
