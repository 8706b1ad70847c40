"""Numbers, chains, attempts, runs, bodies and replays: what holds of every envelope, whatever its kind."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway import wire
from gateway.core import limits
from gateway.core.errors import Refused
from gateway.wire import CHUNK, Refusal
from keys import body
from keys.canonical import encode
from keys.envelope import NOTHING, Context, Envelope, Header, Kind, Precedence, seal
from keys.franking import application_data, franking_tag
from keys.identity import SigningKey
from keys.statement import verify_promise, verify_refusal
from keys.tlog.merkle import leaf_hash
from tests.gateway.core.checks import Scene, accepted, given_up, refused, scene, sealed_again
from tests.gateway.core.world import Party


@pytest.fixture
def s() -> Scene:
    return scene()


def resigned(envelope: Envelope, **changes: Any) -> Envelope:
    return Envelope(changes.get("header", envelope.header), changes.get("signature", envelope.signature))


def run_of(author: Party, channel: bytes, length: int, **changes: Any) -> list[tuple[Envelope, bytes]]:
    """Chained application envelopes, the last one signed. Numbers are not moved on: the run is not handed in."""
    kept = author.numbers.get(channel, (0, NOTHING))
    number, link = kept
    run = []
    for position in range(length):
        author.numbers[channel] = (number, link)
        envelope, data = unsigned(author, channel, author.device.key if position == length - 1 else None, **changes)
        number, link = number + 1, envelope.link
        run.append((envelope, data))
    author.numbers[channel] = kept
    return run


def unsigned(author: Party, channel: bytes, key: SigningKey | None, **changes: Any) -> tuple[Envelope, bytes]:
    group, text, salt = author.groups[channel], b"vehicle clear", author.world.random(16)
    context = author.context(
        Kind.APPLICATION, channel, **{"epoch": group.epoch, "franking": franking_tag(salt, text), **changes}
    )
    author.groups[channel], data = group.protect(
        application_data(salt, text),
        authenticated_data=context.authenticated_data(),
        padding=128,
        random=author.world.random,
    )
    return seal(context, data, key), data


def submit(party: Party, run: list[tuple[Envelope, bytes]]) -> Any:
    return party.world.ask(party, wire.Submit(1, [wire.Sealed(e.header, e.signature, d) for e, d in run]))


def test_an_envelope_gets_the_next_places_and_its_entry(s: Scene) -> None:
    size = s.world.view.log_size()
    envelope, data = s.agent.message(s.channel)
    (place,) = accepted(s.agent.hand_in([(envelope, data)], s.channel)).places
    stored = s.world.view.envelope(s.channel, place.seq)
    assert stored is not None
    assert (place.seq, place.index, place.time, stored.nonce) == (3, size, s.world.now, place.nonce)
    assert (stored.header, stored.signature, stored.body) == (envelope.header, envelope.signature, data)
    assert s.world.view.entries(size, 5) == [stored.leaf()]


def test_a_run_is_placed_whole_in_its_order(s: Scene) -> None:
    run = run_of(s.agent, s.channel, 64)
    answer = accepted(s.agent.hand_in(run, s.channel))
    assert [p.seq for p in answer.places] == list(range(3, 67))
    assert [p.index for p in answer.places] == list(range(answer.places[0].index, answer.places[0].index + 64))
    assert len({p.nonce for p in answer.places}) == 64
    assert answer.promise is None
    accepted(s.agent.send(s.channel))


def test_the_rolling_hash_goes_over_every_header(s: Scene) -> None:
    stored = s.world.view.envelopes(s.channel, 0, 10)
    hashed = NOTHING
    for one in stored:
        hashed = sha256(hashed + sha256(one.header).digest()).digest()
    stream = s.world.view.stream(s.channel)
    assert stream is not None
    assert (stream.rolling, stream.seq) == (hashed, len(stored))


def test_what_is_promised_is_promised_of_the_entry(s: Scene) -> None:
    answer = accepted(s.officer.commit(s.channel))
    stored = s.world.view.envelope(s.channel, answer.places[0].seq)
    assert stored is not None
    assert answer.promise is not None
    promise = verify_promise(answer.promise, s.world.charter.policy.gateway_key, leaf_hash(stored.leaf()))
    assert (promise.channel, promise.seq, promise.index) == (s.channel, stored.seq, stored.index)
    assert promise.latest == s.world.now + 60_000


@pytest.mark.parametrize("length", [1, 5])
def test_the_same_run_again_gets_the_same_answer_and_changes_nothing(s: Scene, length: int) -> None:
    run = run_of(s.agent, s.channel, length)
    first = accepted(s.agent.hand_in(run, s.channel))
    accepted(s.agent.send(s.channel))
    before = s.world.snapshot()
    s.world.now += 5_000
    assert submit(s.agent, run) == first
    assert submit(s.agent, run[-1:]) == wire.Accepted(1, first.places[-1:], None)
    assert s.world.snapshot() == before


def test_a_promise_is_the_same_the_second_time(s: Scene) -> None:
    context, pending = s.officer.prepare(s.channel, [])
    first = s.officer.send_commit(s.channel, context, pending)
    assert accepted(first).promise
    assert s.officer.send_commit(s.channel, context, pending) == first


# --- runs that are none --------------------------------------------------------------------------------------------------


def broken_link(s: Scene) -> Any:
    run = run_of(s.agent, s.channel, 3)
    context = replace_context(run[1][0], previous=bytes(31) + b"\1")
    run[1] = (seal(context, run[1][1], None), run[1][1])
    return submit(s.agent, run)


def replace_context(envelope: Envelope, **changes: Any) -> Context:
    from keys.envelope import read  # the exact fields, to change one of them

    context = read(envelope).context
    return Context(**{**{f: getattr(context, f) for f in context.__struct_fields__}, **changes})


def unsigned_tail(s: Scene) -> Any:
    run = run_of(s.agent, s.channel, 3)
    return submit(s.agent, [*run[:2]])


def signed_inside(s: Scene) -> Any:
    run = run_of(s.agent, s.channel, 2)
    signed = seal(replace_context(run[0][0]), run[0][1], s.agent.device.key)
    return submit(s.agent, [(signed, run[0][1]), run[1]])


def two_kinds(s: Scene) -> Any:
    ack = encode(body.Ack(bytes(32), 0, None, bytes(16)))
    first, data = run_of(s.agent, s.channel, 2)[0]
    context = s.agent.context(Kind.ACK, s.channel, number=2, previous=first.link)
    return submit(s.agent, [(first, data), (seal(context, ack, s.agent.device.key), ack)])


def two_acks(s: Scene) -> Any:
    ack = encode(body.Ack(bytes(32), 0, None, bytes(16)))
    first = seal(s.agent.context(Kind.ACK, s.channel), ack, s.agent.device.key)
    second = seal(s.agent.context(Kind.ACK, s.channel, number=2, previous=first.link), ack, s.agent.device.key)
    return submit(s.agent, [(first, ack), (second, ack)])


def two_channels(s: Scene) -> Any:
    run = run_of(s.agent, s.channel, 1)
    other = seal(replace_context(run[0][0], channel=bytes(16)), run[0][1], s.agent.device.key)
    return submit(s.agent, [*run, (other, run[0][1])])


def a_number_left_out(s: Scene) -> Any:
    run = run_of(s.agent, s.channel, 3)
    return submit(s.agent, [run[0], run[2]])


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(broken_link, Refusal.DENIED, id="broken hash"),
        pytest.param(unsigned_tail, Refusal.SCHEMA, id="unsigned tail"),
        pytest.param(signed_inside, Refusal.SCHEMA, id="signed inside"),
        pytest.param(two_kinds, Refusal.SCHEMA, id="mixed with a kind that is always signed"),
        pytest.param(two_acks, Refusal.SCHEMA, id="two of a kind that is always signed"),
        pytest.param(two_channels, Refusal.SCHEMA, id="two channels"),
        pytest.param(a_number_left_out, Refusal.SCHEMA, id="number left out"),
        pytest.param(lambda s: submit(s.agent, run_of(s.agent, s.channel, 65)), Refusal.SCHEMA, id="too long"),
    ],
)
def test_a_run_that_is_none_is_refused_whole(s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    refused(s.world, refusal, lambda: act(s))


# --- envelopes that are none ---------------------------------------------------------------------------------------------


def longer_integer(s: Scene) -> Any:
    """The body's length as a 32-bit integer where 8 bits do."""
    envelope, data = s.agent.message(s.channel)
    short = bytes([0xCC, len(data)])
    assert envelope.header.count(short) == 1
    header = envelope.header.replace(short, b"\xce" + len(data).to_bytes(4))
    key = s.agent.device.key
    return submit(s.agent, [(Envelope(header, key.sign(Kind.APPLICATION.label, header)), data)])


def other_signature(s: Scene, key: SigningKey, label: str = Kind.APPLICATION.label) -> Any:
    envelope, data = s.agent.message(s.channel)
    return submit(s.agent, [(Envelope(envelope.header, key.sign(label, envelope.header)), data)])


def with_body(s: Scene, change: Callable[[bytes], bytes]) -> Any:
    envelope, data = s.agent.message(s.channel)
    return submit(s.agent, [(envelope, change(data))])


def without_body(s: Scene) -> Any:
    envelope, _ = s.agent.message(s.channel)
    return s.world.ask(s.agent, wire.Submit(1, [wire.Sealed(envelope.header, envelope.signature, None)]))


def claimed_length(s: Scene, length: int) -> Any:
    """A header that names a long body which nobody has put."""
    context = s.agent.context(Kind.APPLICATION, s.channel, epoch=1, franking=bytes(32))
    header = encode(Header(encode(context), length, bytes(32)))
    signature = s.agent.device.key.sign(Kind.APPLICATION.label, header)
    return s.world.ask(s.agent, wire.Submit(1, [wire.Sealed(header, signature, None)]))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(longer_integer, Refusal.CANON, id="attack-71 another encoding"),
        pytest.param(
            lambda s: s.world.ask(s.agent, wire.Submit(1, [wire.Sealed(b"\x90", b"", b"")])),
            Refusal.SCHEMA,
            id="no header",
        ),
        pytest.param(
            lambda s: other_signature(s, SigningKey(bytes(32))), Refusal.DENIED, id="attack-35 signed by another key"
        ),
        pytest.param(
            lambda s: other_signature(s, s.officer.device.key),
            Refusal.DENIED,
            id="attack-35 signed by another member's key",
        ),
        pytest.param(
            lambda s: other_signature(s, s.agent.device.key, Kind.ACK.label),
            Refusal.DENIED,
            id="attack-45 signed as another kind",
        ),
        pytest.param(lambda s: with_body(s, lambda b: b + b"\0"), Refusal.SCHEMA, id="body one byte longer"),
        pytest.param(lambda s: with_body(s, lambda b: b[:-1] + b"\0"), Refusal.SCHEMA, id="body one byte changed"),
        pytest.param(without_body, Refusal.GAP, id="short body left out, and not put before"),
        pytest.param(lambda s: claimed_length(s, CHUNK + 1), Refusal.GAP, id="long body not put"),
        pytest.param(lambda s: claimed_length(s, limits.RUN_BYTES + 1), Refusal.LIMIT, id="bodies too long together"),
        pytest.param(
            lambda s: submit(s.officer, [s.agent.message(s.channel)]), Refusal.DENIED, id="attack-35 another's envelope"
        ),
        pytest.param(lambda s: s.agent.send(s.channel, number=3, previous=b"x" * 32), Refusal.GAP, id="gap"),
        pytest.param(lambda s: s.agent.send(s.channel, attempt=1), Refusal.REPLAY, id="attempt without refusal"),
        pytest.param(
            lambda s: s.agent.send(s.channel, time=s.world.now + limits.CLOCK_AHEAD + 1),
            Refusal.CLOCK,
            id="attack-46 clock ahead",
        ),
        pytest.param(
            lambda s: s.agent.say(Kind.FILLER, s.channel, b""), Refusal.SCHEMA, id="kind that devices do not send"
        ),
        pytest.param(
            lambda s: s.agent.say(Kind.CHARTER, s.world.charter.control_channel, s.world.charter.note),
            Refusal.SCHEMA,
            id="charter from a device",
        ),
    ],
)
def test_an_envelope_that_does_not_hold_is_refused(s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    refused(s.world, refusal, lambda: act(s))


@pytest.mark.parametrize("change", [{"text": b"other"}, {"precedence": Precedence.FLASH}], ids=["content", "context"])
def test_a_number_used_with_other_content_is_evidence(s: Scene, change: dict[str, Any]) -> None:
    kept = s.agent.numbers.get(s.channel, (0, NOTHING))
    accepted(s.agent.send(s.channel))
    s.agent.numbers[s.channel] = kept
    refused(s.world, Refusal.REPLAY, lambda: s.agent.send(s.channel, **change))


def test_a_number_that_follows_another_chain_is_refused(s: Scene) -> None:
    accepted(s.agent.send(s.channel))
    refused(s.world, Refusal.GAP, lambda: s.agent.send(s.channel, previous=b"x" * 32))


def test_a_clock_a_little_ahead_or_far_behind_is_taken(s: Scene) -> None:
    accepted(s.agent.send(s.channel, time=s.world.now + limits.CLOCK_AHEAD))
    accepted(s.agent.send(s.channel, time=1))


# --- nobody learns by asking ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 5])
@pytest.mark.parametrize("kind", [Kind.APPLICATION, Kind.ACK, Kind.COMMIT, Kind.PROPOSAL, Kind.RECEIPT])
def test_a_stranger_hears_the_same_of_a_channel_that_is_there_and_of_none(s: Scene, kind: Kind, number: int) -> None:
    from keys.identity import ChannelId, receipt_stream

    stranger = s.world.enrolled("officer")
    franking = bytes(32) if kind is Kind.APPLICATION else b""
    previous = NOTHING if number == 1 else b"x" * 32
    for channel in (s.channel, ChannelId(b"no such channel!"), receipt_stream(s.channel)):
        refused(
            s.world,
            Refusal.DENIED,
            lambda channel=channel: stranger.say(
                kind, channel, b"", number=number, previous=previous, franking=franking, epoch=1
            ),
        )


def test_who_may_not_create_channels_does_not_learn_which_are_there(s: Scene) -> None:
    stranger = s.world.enrolled("agent")
    answers = [
        refused(s.world, Refusal.ROLE, lambda c=c: stranger.say(Kind.CHANNEL_CREATED, c, b"")).detail
        for c in (s.channel, bytes(16), s.world.charter.control_channel)
    ]
    assert len(set(answers)) == 1


# --- signed refusals -----------------------------------------------------------------------------------------------------


def stale(s: Scene) -> tuple[Envelope, bytes]:
    """The agent has sealed for an epoch that a removal has ended since."""
    third = s.world.enrolled("agent")
    accepted(s.officer.add(s.channel, third))
    message = s.agent.message(s.channel, epoch=1)
    leaf = next(m.leaf for m in s.world.view.members(s.channel) if m.device == third.id)
    from keys.mls import Remove

    accepted(s.officer.commit(s.channel, [Remove(leaf)]))
    return message


def catch_up(s: Scene) -> None:
    """The agent's group as of now: it processes the commits it has not made."""
    for stored in s.world.view.envelopes(s.channel, 2, 100):
        if stored.kind is Kind.COMMIT and stored.device != s.agent.id:
            commit = body.read_commit(stored.body or b"").commit
            s.agent.groups[s.channel], _ = s.agent.groups[s.channel].process(commit, now_seconds=None)


def test_an_old_epoch_is_refused_by_signature_and_sealed_again(s: Scene) -> None:
    message = stale(s)
    said = sealed_again(s.world, Refusal.EPOCH_STALE, message[0], lambda: submit(s.agent, [message]))
    assert said.epoch == 3
    catch_up(s)
    refused(s.world, Refusal.REPLAY, lambda: s.agent.send(s.channel))
    refused(s.world, Refusal.REPLAY, lambda: s.agent.send(s.channel, attempt=2))
    accepted(s.agent.send(s.channel, attempt=1))
    accepted(s.agent.send(s.channel))


def test_a_refusal_not_heard_is_told_again_and_its_envelope_never_taken(s: Scene) -> None:
    message = stale(s)
    first = submit(s.agent, [message])
    before = s.world.snapshot()
    again = submit(s.agent, [message])
    assert (again.refusal, again.statement) == (first.refusal, first.statement)
    assert s.world.snapshot() == before


def test_each_number_of_a_refused_run_has_its_own_attempt(s: Scene) -> None:
    message = stale(s)
    submit(s.agent, [message])
    run = run_of(s.agent, s.channel, 1, attempt=1, epoch=1)
    envelope, data = run[0]
    s.agent.numbers[s.channel] = (1, envelope.link)
    second = unsigned(s.agent, s.channel, s.agent.device.key, epoch=1)
    s.agent.numbers.pop(s.channel)
    first = seal(replace_context(envelope), data, None)
    tail = seal(replace_context(second[0], previous=first.link), second[1], s.agent.device.key)
    answer = submit(s.agent, [(first, data), (tail, second[1])])
    assert isinstance(answer, wire.Refused)
    remembered = s.world.view.refused_attempts(s.channel, s.agent.id, 1, 9)
    assert {n: r.attempt for n, r in remembered.items()} == {1: 1, 2: 0}
    catch_up(s)
    refused(s.world, Refusal.REPLAY, lambda: s.agent.send(s.channel, attempt=1))
    accepted(s.agent.send(s.channel, attempt=2))
    refused(s.world, Refusal.REPLAY, lambda: s.agent.send(s.channel))
    accepted(s.agent.send(s.channel, attempt=1))


def test_a_message_that_may_not_be_is_refused_for_good_and_its_number_is_for_another(s: Scene) -> None:
    given_up(s.world, Refusal.TLP, lambda: s.agent.send(s.channel, marking=4))
    accepted(s.agent.send(s.channel, attempt=1))


def test_a_refusal_for_now_lets_nobody_seal_again(s: Scene) -> None:
    s.world.now += 73 * 3_600_000
    refused(s.world, Refusal.STALE_LIST, lambda: s.agent.send(s.channel))
    refused(s.world, Refusal.REPLAY, lambda: s.agent.send(s.channel, attempt=1))
    accepted(s.world.publish_list("Meridian", number=2))
    accepted(s.agent.send(s.channel))


# --- long bodies ---------------------------------------------------------------------------------------------------------


def test_a_long_body_is_put_in_chunks_and_read_by_those_who_were_members(s: Scene) -> None:
    text = b"x" * (2 * CHUNK)
    place = accepted(s.agent.send(s.channel, text)).places[0]
    stored = s.world.view.envelope(s.channel, place.seq)
    assert stored is not None
    assert stored.body is None
    late, stranger = s.world.enrolled("agent"), s.world.enrolled("officer")
    accepted(s.officer.add(s.channel, late))
    whole = b""
    while len(whole) < stored.body_length:
        chunk = s.world.tell(s.officer, wire.GetBody(1, stored.body_hash, len(whole)))
        assert (chunk.length, chunk.offset) == (stored.body_length, len(whole))
        whole += chunk.data
    assert sha256(whole).digest() == stored.body_hash
    for nobody in (late, stranger):
        refused(s.world, Refusal.DENIED, lambda n=nobody: s.world.tell(n, wire.GetBody(1, stored.body_hash, 0)))


def test_a_narrow_link_brings_a_short_body_in_pieces_and_takes_it_in_pieces(s: Scene) -> None:
    envelope, data = s.agent.message(s.channel, b"x" * 3_000)
    digest = sha256(data).digest()
    for offset in range(0, len(data), 1_000):
        piece = data[offset : offset + 1_000]
        assert isinstance(s.world.ask(s.agent, wire.PutChunk(1, digest, len(data), offset, piece)), wire.Done)
    named = wire.Submit(1, [wire.Sealed(envelope.header, envelope.signature, None)])
    place = accepted(s.world.ask(s.agent, named)).places[0]
    stored = s.world.view.envelope(s.channel, place.seq)
    assert stored is not None
    assert stored.body == data
    assert s.world.view.upload(digest) is None, "the pieces have done their work"
    assert accepted(s.world.ask(s.agent, named)).places[0] == place, "said again, it is the same"
    late, stranger = s.world.enrolled("agent"), s.world.enrolled("officer")
    accepted(s.officer.add(s.channel, late))
    whole = b""
    while len(whole) < len(data):
        chunk = s.world.tell(s.officer, wire.GetBody(1, digest, len(whole), 700))
        assert (chunk.length, len(chunk.data) <= 700) == (len(data), True)
        whole += chunk.data
    assert whole == data
    for nobody in (late, stranger):
        refused(s.world, Refusal.DENIED, lambda n=nobody: s.world.tell(n, wire.GetBody(1, digest, 0)))


# --- the rules of numbers, chains and attempts, against a model ------------------------------------------------------------


class Numbering(RuleBasedStateMachine):
    """A device that does everything wrong that it can. The model: the last number, its link, and refused attempts."""

    @initialize()
    def begin(self) -> None:
        self.s = scene()
        self.s.world.now += 31_000  # the grace of the epoch before the agent's is over
        self.number, self.link = 0, NOTHING
        self.attempts: dict[int, int] = {}  # the next attempt of a number
        self.taken: list[tuple[list[tuple[Envelope, bytes]], wire.Accepted]] = []

    @rule(
        length=st.integers(1, 4),
        ahead=st.sampled_from([0, 0, 0, 1, -1]),
        attempt=st.sampled_from([0, 0, 0, 1, 2]),
        chained=st.sampled_from([True, True, True, False]),
        old=st.sampled_from([False, False, True]),
    )
    def hand_in(self, length: int, ahead: int, attempt: int, chained: bool, old: bool) -> None:
        agent, channel = self.s.agent, self.s.channel
        first = self.number + 1 + ahead
        if first < 1:
            return
        previous = NOTHING if first == 1 else (self.link if chained and first > 1 and self.number else b"x" * 32)
        run, link = [], previous
        for n in range(first, first + length):
            last = n == first + length - 1
            epoch = 0 if old else agent.groups[channel].epoch
            tries = self.attempts.get(n, 0) + attempt
            key = agent.device.key if last else None
            part = unsigned(agent, channel, key, number=n, previous=link, attempt=tries, epoch=epoch)
            link = part[0].link
            run.append(part)
        answer = submit(agent, run)
        expected = self.expected(first, previous, attempt, old)
        if expected is None:
            self.number, self.link = self.number + length, run[-1][0].link
            self.taken.append((run, accepted(answer)))
        elif expected is Refusal.EPOCH_STALE:
            assert isinstance(answer, wire.Refused)
            assert answer.statement is not None
            header_hash = sha256(run[-1][0].header).digest()
            verify_refusal(answer.statement, self.s.world.charter.policy.gateway_key, header_hash)
            for n in range(first, first + length):
                self.attempts[n] = self.attempts.get(n, 0) + 1
        else:
            assert isinstance(answer, Refused)
            assert answer.refusal is expected

    def expected(self, first: int, previous: bytes, attempt: int, old: bool) -> Refusal | None:
        if first <= self.number:
            return Refusal.REPLAY
        if first != self.number + 1 or previous != self.link:
            return Refusal.GAP
        if attempt:
            return Refusal.REPLAY
        return Refusal.EPOCH_STALE if old else None

    @rule(which=st.integers(0, 5))
    def again(self, which: int) -> None:
        if self.taken:
            run, answer = self.taken[which % len(self.taken)]
            before = self.s.world.snapshot()
            assert submit(self.s.agent, run) == answer
            assert self.s.world.snapshot() == before

    @invariant()
    def the_stream_is_what_was_taken(self) -> None:
        rows = list(self.s.world.view.envelopes(self.s.channel, 2, 1_000))
        assert [e.number for e in rows] == list(range(1, self.number + 1))
        assert [e.seq for e in rows] == list(range(3, self.number + 3))
        chain = self.s.world.view.chain(self.s.channel, self.s.agent.id)
        assert (chain.number, chain.link) == (self.number, self.link)


Numbering.TestCase.settings = settings(
    max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestNumbering = Numbering.TestCase
