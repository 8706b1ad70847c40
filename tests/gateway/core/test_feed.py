"""The feed: order across and within lanes, what overtakes, the window, and that everything is sent once whatever happens."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import wire
from gateway.core.answers import placed
from gateway.core.feed import WINDOW, Feed, Going
from gateway.core.lane import COMMITS_BEFORE_FLASH, PAGE, page_of, urgent
from gateway.core.page import Page
from gateway.core.recipient import Audience, Recipient
from gateway.core.rows import Stored
from gateway.core.stretch import Stretch, stretches
from gateway.web.sifted import Sifted
from gateway.wire import CHUNK, WINDOW_LEAST, WINDOW_MOST
from keys.canonical import reader
from keys.envelope import Kind, Precedence
from keys.identity import ChannelId, DeviceId

ME, OTHER = b"m" * 16, b"o" * 16
A, B = b"a" * 16, b"b" * 16
RECIPIENT = Recipient(ME, "Meridian", directory=False, registrar=False)

MESSAGE, COMMIT, PROPOSAL, ALERT = Kind.APPLICATION, Kind.COMMIT, Kind.PROPOSAL, Kind.ALERT
ROUTINE, FLASH = Precedence.ROUTINE, Precedence.FLASH


_read = reader(wire.Placed)


@dataclass
class Log:
    """Streams in memory: what a backlog reads."""

    rows: list[Stored] = field(default_factory=list)
    audiences: dict[tuple[bytes, int], Audience] = field(default_factory=dict)

    def add(
        self,
        channel: bytes,
        kind: Kind = MESSAGE,
        precedence: Precedence = ROUTINE,
        device: bytes = OTHER,
        length: int = 1,
    ) -> Stored:
        seq = 1 + max((r.seq for r in self.rows if r.channel == channel), default=0)
        stored = Stored(
            ChannelId(channel), seq, len(self.rows), 0, bytes(16), b"header", bytes(64), kind, DeviceId(device), seq,
            precedence, bytes(32), length, bytes(length) if length <= CHUNK else None,
        )  # fmt: skip
        self.rows.append(stored)
        return stored

    def of(self, channel: bytes) -> list[Stored]:
        return [r for r in self.rows if r.channel == channel]

    def after(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        return [r for r in self.of(channel) if r.seq > after][:limit]

    def page(self, channel: bytes, after: int, limit: int) -> Page:
        return page_of(channel, self.after(channel, after, limit))

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        return [r for r in self.of(channel) if r.seq > after and (urgent(r) or r.kind in (COMMIT, PROPOSAL))][:limit]

    def concerning(self, channel: bytes, after: int, limit: int, recipient: Recipient) -> tuple[Sequence[Stored], int]:
        page = self.after(channel, after, limit)
        return Sifted.sift(page, self.audience, after).concerning(recipient), page[-1].seq if page else after

    def audience(self, stored: Stored) -> Audience:
        return self.audiences.get((stored.channel, stored.seq), Audience(everyone=True))


def goes(feed: Feed, *new: Stored) -> Going:
    return feed.pass_on(Stretch.of(new))


def places(drawn: Sequence[Page]) -> list[tuple[bytes, int]]:
    return [(page.channel, seq) for page in drawn for seq in page.seqs]


def sent(feed: Feed, log: Log) -> list[tuple[bytes, int]]:
    """Everything that goes now, one by one."""
    out = []
    while feed.open and feed.waiting:
        out += places(feed.draw(log, 1))
    return out


def bodies(stored: Sequence[Stored], recipient: Recipient) -> list[bytes | None]:
    """What goes along, as the device reads it; the rest is as it was."""
    going = page_of(A, stored).to(recipient)
    read = [_read(one) for one in going.placed]
    assert [replace_body(one) for one in read] == [replace_body(placed(one)) for one in stored]
    assert going.size == sum(map(len, going.placed))
    return [one.body for one in read]


def replace_body(one: wire.Placed) -> wire.Placed:
    return msgspec.structs.replace(one, body=None)


def following(log: Log, *channels: bytes, dense: bool = True, start: int = 0, recipient: Recipient = RECIPIENT) -> Feed:
    feed = Feed(recipient)
    for channel in channels:
        feed.follow(channel, start, len(log.of(channel)), dense=dense)
    return feed


def test_a_backlog_is_sent_in_order() -> None:
    log = Log()
    for _ in range(PAGE * 2 + 3):
        log.add(A)
    assert sent(following(log, A), log) == [(A, n) for n in range(1, PAGE * 2 + 4)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B]), st.sampled_from([MESSAGE, COMMIT, ALERT]), st.sampled_from(list(Precedence))
        ),
        max_size=200,
    )
)
def test_many_drawn_at_once_are_those_that_come_one_by_one(envelopes: list) -> None:
    log = Log()
    for channel, kind, precedence in envelopes:
        log.add(channel, kind, precedence)
    feed = following(log, A, B)
    drawn: list[tuple[bytes, int]] = []
    while feed.waiting:
        drawn += places(feed.draw(log, 64))
    assert drawn == sent(following(log, A, B), log)


def test_a_window_is_counted_in_deliveries_too() -> None:
    log = Log()
    for _ in range(WINDOW + 3):
        log.add(A)
    feed = following(log, A)
    drawn = feed.draw(log, 2 * WINDOW)
    assert len(places(drawn)) == WINDOW
    assert not feed.open
    feed.stored(A, 2)
    assert places(feed.draw(log, 2 * WINDOW)) == [(A, WINDOW + 1), (A, WINDOW + 2)]


def test_it_starts_after_the_position() -> None:
    log = Log()
    for _ in range(5):
        log.add(A)
    assert sent(following(log, A, start=3), log) == [(A, 4), (A, 5)]


def test_across_channels_precedence_goes_first_and_then_age() -> None:
    log = Log()
    log.add(A)
    log.add(B, precedence=Precedence.IMMEDIATE)
    log.add(A)
    log.add(B)
    assert sent(following(log, A, B), log) == [(B, 1), (A, 1), (A, 2), (B, 2)]


@pytest.mark.parametrize(
    ("kind", "precedence"),
    [pytest.param(MESSAGE, FLASH, id="flash"), pytest.param(ALERT, ROUTINE, id="alert")],
)
def test_the_urgent_overtakes_and_is_not_sent_twice(kind: Kind, precedence: Precedence) -> None:
    log = Log()
    for _ in range(100):
        log.add(A)
    log.add(A, kind, precedence)
    log.add(A)
    order = sent(following(log, A), log)
    assert order == [(A, 101), *((A, n) for n in range(1, 101)), (A, 102)]


def test_the_commits_before_it_go_first() -> None:
    log = Log()
    for kind in (MESSAGE, COMMIT, MESSAGE, PROPOSAL, COMMIT, MESSAGE):
        log.add(A, kind)
    log.add(A, precedence=FLASH)
    assert [n for _, n in sent(following(log, A), log)] == [2, 4, 5, 7, 1, 3, 6]


def test_it_waits_while_too_many_commits_lie_between() -> None:
    log = Log()
    for _ in range(COMMITS_BEFORE_FLASH + 2):
        log.add(A, COMMIT)
        log.add(A)
    log.add(A, precedence=FLASH)
    flash = len(log.rows)
    assert [n for _, n in sent(following(log, A), log)] == [1, 2, 3, 5, 7, 9, flash, 4, 6, 8, 10]


def test_the_urgent_goes_before_other_channels() -> None:
    log = Log()
    log.add(A, precedence=Precedence.IMMEDIATE)
    log.add(B)
    log.add(B, COMMIT)
    log.add(B, ALERT, FLASH)
    assert sent(following(log, A, B), log) == [(B, 2), (B, 3), (A, 1), (B, 1)]


def test_an_urgent_arrival_overtakes_what_waits_for_the_window() -> None:
    log = Log()
    for _ in range(WINDOW + 50):
        log.add(A)
    feed = following(log, A)
    assert len(sent(feed, log)) == WINDOW
    assert feed.arrived(log.add(A, precedence=FLASH))
    feed.stored(A, 10)
    assert sent(feed, log)[0] == (A, WINDOW + 51)


def test_a_live_arrival_needs_no_look_into_the_store() -> None:
    log = Log()
    feed = following(log, A)
    assert not feed.waiting
    assert feed.arrived(log.add(A, precedence=FLASH))

    class Nothing(Log):
        def page(self, channel: bytes, after: int, limit: int) -> Page:
            raise AssertionError

        def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
            raise AssertionError

    assert sent(feed, Nothing()) == [(A, 1)]


def test_the_live_case_goes_at_once_and_is_counted() -> None:
    log = Log()
    feed = following(log, A, B)
    for _ in range(WINDOW):
        assert goes(feed, log.add(A))
    assert not feed.open
    last = log.add(A)
    assert not goes(feed, last)
    assert feed.arrived(last)
    feed.stored(A, WINDOW)
    assert not goes(feed, log.add(B)), "something waits"
    feed.arrived(log.rows[-1])
    assert sent(feed, log) == [(A, WINDOW + 1), (B, 1)]
    assert goes(feed, log.add(B))
    assert not goes(feed, log.rows[-1])
    assert not goes(feed, log.add(b"c" * 16)), "not followed"


def test_a_run_goes_at_once_as_a_whole_or_not_at_all() -> None:
    log = Log()
    feed = following(log, A)
    assert goes(feed, *(log.add(A) for _ in range(WINDOW - 1))) is Going.WHOLE
    two = [log.add(A), log.add(A)]
    assert not goes(feed, *two), "one delivery too many for the window"
    assert goes(feed, two[0])
    assert not goes(feed, two[1])
    assert feed.arrived(two[1])
    feed.stored(A, WINDOW)
    assert sent(feed, log) == [(A, WINDOW + 1)]


@pytest.mark.parametrize(
    ("lengths", "device", "window", "expected"),
    [
        pytest.param((CHUNK, CHUNK), OTHER, WINDOW_MOST, Going.WHOLE, id="bodies that all go along"),
        pytest.param((1, CHUNK + 1), OTHER, WINDOW_MOST, Going.NOT, id="a body that does not, among others"),
        pytest.param((1, CHUNK + 1), ME, WINDOW_MOST, Going.BARE, id="its own"),
        pytest.param((CHUNK,) * 32, OTHER, WINDOW_MOST, Going.NOT, id="more bytes than the window has"),
        pytest.param((1, 1), OTHER, WINDOW_LEAST, Going.NOT, id="a narrow link takes one at a time"),
        pytest.param((1,), OTHER, WINDOW_LEAST, Going.WHOLE, id="one on a narrow link"),
    ],
)
def test_what_of_a_run_goes_at_once(lengths: tuple[int, ...], device: bytes, window: int, expected: Going) -> None:
    log = Log()
    feed = following(log, A)
    feed.recipient = replace(RECIPIENT, window=window)
    assert goes(feed, *(log.add(A, device=device, length=length) for length in lengths)) is expected


def test_a_batch_is_taken_apart_by_stream_author_and_kind() -> None:
    log = Log()
    for channel, kind, device in (
        (A, MESSAGE, ME), (A, MESSAGE, ME), (A, MESSAGE, OTHER), (B, MESSAGE, OTHER), (A, COMMIT, ME), (A, COMMIT, ME),
        (A, Kind.RECEIPT, ME), (A, Kind.RECEIPT, ME),
    ):  # fmt: skip
        log.add(channel, kind, device=device)
    found = [stretch.envelopes for stretch in stretches(log.rows)]
    assert [len(some) for some in found] == [2, 1, 1, 1, 1, 1, 1]
    assert [stored for some in found for stored in some] == log.rows


def test_an_arrival_that_was_in_the_snapshot_is_not_sent_again() -> None:
    log = Log()
    stored = log.add(A)
    feed = following(log, A)
    assert not feed.arrived(stored)
    assert sent(feed, log) == [(A, 1)]
    assert not feed.arrived(stored)
    assert sent(feed, log) == []


def test_the_window_counts_deliveries() -> None:
    log = Log()
    for _ in range(WINDOW * 2):
        log.add(A)
    feed = following(log, A)
    assert len(sent(feed, log)) == WINDOW
    feed.stored(B, 1_000)
    assert sent(feed, log) == []
    feed.stored(A, 7)
    assert len(sent(feed, log)) == 7
    feed.stored(A, 3)
    assert sent(feed, log) == []


def test_the_window_counts_bytes() -> None:
    log = Log()
    for _ in range(100):
        log.add(A, length=CHUNK)
    feed = following(log, A)
    assert len(sent(feed, log)) == WINDOW_MOST // CHUNK + 1


def test_a_narrow_window_lets_one_go_whatever_its_size_and_no_long_body_along() -> None:
    log = Log()
    for length in (900, 200, 20_000, 10):
        log.add(A, length=length)
    narrow = replace(RECIPIENT, window=WINDOW_LEAST)
    feed = following(log, A, recipient=narrow)
    assert sent(feed, log) == [(A, 1), (A, 2)], "the second begins below the window"
    feed.stored(A, 2)
    assert sent(feed, log) == [], "what is stored says nothing of what is on the road"
    feed.taken(1)
    assert sent(feed, log) == [(A, 3), (A, 4)], "20,000 bytes stay behind: the device fetches them"
    assert bodies([log.rows[2]], narrow) == [None]
    assert bodies([log.rows[2]], RECIPIENT) == [bytes(20_000)]


def test_what_is_urgent_waits_for_one_delivery_on_a_narrow_link() -> None:
    log = Log()
    for _ in range(50):
        log.add(A, length=900)
    feed = following(log, A, recipient=replace(RECIPIENT, window=WINDOW_LEAST))
    under_way = sent(feed, log)
    feed.arrived(log.add(A, precedence=FLASH))
    feed.taken(len(under_way))
    assert sent(feed, log)[0] == (A, 51)
    feed.taken(1_000)
    assert len(sent(feed, log)) <= 2, "more than was sent opens no more than all"


def test_overtakers_leave_the_window_when_their_place_is_stored() -> None:
    log = Log()
    for _ in range(WINDOW - 1):
        log.add(A)
    log.add(A, precedence=FLASH)
    for _ in range(WINDOW):
        log.add(A)
    feed = following(log, A)
    assert len(sent(feed, log)) == WINDOW
    feed.stored(A, WINDOW - 1)
    assert len(sent(feed, log)) == WINDOW - 1
    feed.stored(A, WINDOW)
    assert len(sent(feed, log)) == 1


def test_own_and_long_envelopes_go_without_their_body() -> None:
    log = Log()
    lengths = [0, 1, 255, 256, 1_000, CHUNK, CHUNK + 1]
    others = [log.add(A, length=length) for length in lengths]
    mine = [log.add(A, device=ME, length=length) for length in lengths]
    whole = [bytes(length) if length <= CHUNK else None for length in lengths]
    assert bodies(others, RECIPIENT) == whole
    assert bodies(others + mine, RECIPIENT) == whole + [None] * len(lengths)
    assert bodies(others, replace(RECIPIENT, window=WINDOW_LEAST)) == [*whole[:5], None, None]


def test_a_sparse_stream_sends_what_concerns_the_device() -> None:
    log = Log()
    for n in range(1, PAGE * 4):
        log.add(A, device=ME if n == PAGE * 3 else OTHER)
        log.audiences[A, n] = Audience(devices=frozenset({ME} if n % 50 == 0 else set()))
    feed = following(log, A, dense=False)
    assert [n for _, n in sent(feed, log)] == sorted([*range(50, PAGE * 4, 50), PAGE * 3])


def test_a_sparse_stream_does_not_overtake_within_itself() -> None:
    log = Log()
    log.add(A)
    log.add(A, precedence=FLASH)
    assert [n for _, n in sent(following(log, A, dense=False), log)] == [1, 2]


def test_the_commit_that_removed_the_device_is_the_last() -> None:
    log = Log()
    for _ in range(10):
        log.add(A)
    feed = following(log, A)
    feed.leave(A, 7)
    assert not feed.arrived(log.add(A))
    assert [n for _, n in sent(feed, log)] == [1, 2, 3, 4, 5, 6, 7]
    again = Feed(RECIPIENT)
    again.follow(A, 0, 11, dense=True, until=7)
    assert [n for _, n in sent(again, log)] == [1, 2, 3, 4, 5, 6, 7]


def test_what_was_to_come_of_an_earlier_stay_is_not_sent_in_the_next() -> None:
    log = Log()
    for _ in range(10):
        log.add(A)
    feed = following(log, A)
    feed.leave(A, 7)
    feed.follow(A, 10, 10, dense=True)
    assert not sent(feed, log)
    feed.arrived(log.add(A))
    assert sent(feed, log) == [(A, 11)]


@pytest.mark.parametrize(
    ("audience", "hears"),
    [
        pytest.param(Audience(everyone=True), {"agent", "officer", "partner", "registrar", "watch"}, id="everyone"),
        pytest.param(Audience(directory=True), {"officer", "partner", "registrar"}, id="directory"),
        pytest.param(Audience(officers_of="Meridian"), {"officer"}, id="officers of one organisation"),
        pytest.param(Audience(devices=frozenset({b"agent"})), {"agent"}, id="named devices"),
        pytest.param(Audience(alerting=True), {"watch"}, id="who writes or approves alerts"),
        pytest.param(Audience(), set(), id="nobody"),
    ],
)
def test_whom_an_audience_includes(audience: Audience, hears: set[str]) -> None:
    people = {
        "agent": Recipient(b"agent", "Meridian", directory=False, registrar=False),
        "officer": Recipient(b"officer", "Meridian", directory=True, registrar=False),
        "partner": Recipient(b"partner", "Hostpol", directory=True, registrar=False),
        "registrar": Recipient(b"registrar", "Meridian", directory=False, registrar=True),
        "watch": Recipient(b"watch", "Meridian", directory=False, registrar=False, alerting=True),
    }
    assert {name for name, recipient in people.items() if audience.includes(recipient)} == hears
    stored = Log().add(A)
    sifted = Sifted.sift([stored], lambda _: audience, 0)
    assert {name for name, recipient in people.items() if sifted.concerning(recipient)} == hears


_ENVELOPE = st.tuples(
    st.sampled_from([A, B]),
    st.sampled_from([MESSAGE, MESSAGE, COMMIT, PROPOSAL, ALERT]),
    st.sampled_from(list(Precedence)),
)
_STEP = st.one_of(_ENVELOPE, st.integers(1, 40), st.just("store"))


@settings(max_examples=150, deadline=None)
@given(st.lists(_ENVELOPE, max_size=150), st.lists(_STEP, max_size=60), st.integers(0, 20))
def test_everything_is_sent_once_and_opened_in_order(before: list, steps: list, start: int) -> None:
    """Against the simplest model: after any mixture of arrivals, sending and cursors, each lane has been sent every seq
    once; commits went in order; and whatever went before an earlier commit did not need it, or was urgent after it."""
    log = Log()
    for channel, kind, precedence in before:
        log.add(channel, kind, precedence)
    start = min(start, len(log.of(A)), len(log.of(B)))
    feed = following(log, A, B, start=start)
    order: list[Stored] = []

    def pump(count: int) -> None:
        while count > 0 and (drawn := feed.draw(log, count)):
            order.extend(log.of(channel)[seq - 1] for channel, seq in places(drawn))
            count -= sum(map(len, drawn))

    def store() -> None:
        for channel in (A, B):
            seqs = {s.seq for s in order if s.channel == channel}
            whole = start
            while whole + 1 in seqs:
                whole += 1
            feed.stored(channel, whole)

    for step in steps:
        if isinstance(step, int):
            pump(step)
        elif step == "store":
            store()
        else:
            stored = log.add(*step)
            if goes(feed, stored):
                order.append(stored)
            else:
                assert feed.arrived(stored)
    while feed.waiting:
        pump(1_000)
        store()
    for channel in (A, B):
        lane = [s for s in order if s.channel == channel]
        assert sorted(s.seq for s in lane) == list(range(start + 1, len(log.of(channel)) + 1))
        commits = [s.seq for s in lane if s.kind is COMMIT]
        assert commits == sorted(commits)
        plain = [s.seq for s in lane if not urgent(s) and s.kind not in (COMMIT, PROPOSAL)]
        assert plain == sorted(plain)
        for place, stored in enumerate(lane):
            skipped = [s.seq for s in lane[place + 1 :] if s.seq < stored.seq and s.kind is COMMIT]
            assert not skipped, "sent before a commit that it needs"
