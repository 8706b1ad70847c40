"""Going on from an earlier verification: the same findings as from the beginning, for the price of what is new."""

from functools import cache
from typing import Any

import pytest

from clients.auditor.verify import Asked, Cause, Outcome, Topic, Verdict, Verified, log_keys, read_state, verify_log
from clients.auditor.verify.state import StreamState
from keys.canonical import encode
from keys.envelope import Heard
from keys.errors import Malformed
from tests.clients.auditor.logs import Book, Files, honest
from tests.clients.auditor.test_content import ALSO, ROWS, Row, Scene, _asked, _called, _down
from tests.clients.auditor.test_disclosures import Scene as Disclosing
from tests.clients.auditor.test_escalations import Ladders
from tests.clients.auditor.test_month import october


def check(book: Book, since: bytes | None = None, files: Files | None = None, **asked: Any) -> Verified:
    found = files or book.files()
    keys = log_keys(book.mission.log.verifier_key.encode())
    state = None if since is None else read_state(since)
    return verify_log(found.fetch, found.paths(), Asked(keys=keys, now=book.now + 7_200_000, since=state, **asked))


@cache
def whole() -> Book:
    return honest()


def saved(size: int) -> bytes:
    """The state after the first entries of the honest log."""
    book = Book()
    book.leaves, book.bodies, book.now = whole().leaves[:size], whole().bodies, whole().now
    state = check(book).state
    assert state is not None
    return state


CLOSED = [n for n in range(len(honest().leaves) + 1) if not n or whole().entry(n - 1).signature]
"""Sizes at which no run is open: only there can a state be saved."""


@pytest.mark.parametrize("size", CLOSED)
def test_from_any_place_on_all_is_sound(size: int) -> None:
    verified = check(whole(), saved(size))
    assert verified.verdict is Verdict.CONSISTENT, verified.claims
    assert verified.state == check(whole()).state


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.__name__.replace("_", " ")) for row in ROWS[::7] if row not in ALSO]
)
def test_what_comes_later_is_judged_by_what_was_saved(row: Row) -> None:
    scene = Scene()
    state = check(scene.book).state
    size = len(scene.book.leaves)
    topic, index, cause = row(scene)
    assert index is not None
    verified = check(scene.book, state)
    found = {(c.claim, c.index, c.cause) for c in verified.claims if c.outcome is Outcome.FAIL}
    if index >= size:
        assert found == {(topic, index, cause)}
    assert verified.state is None


def test_entries_before_are_not_read_again() -> None:
    state = saved(len(whole().leaves))
    read: list[str] = []
    files = whole().files()

    def fetch(path: str) -> bytes:
        read.append(path)
        return files.fetch(path)

    keys = log_keys(whole().mission.log.verifier_key.encode())
    assert verify_log(fetch, (), Asked(keys, whole().now, since=read_state(state))).verdict is Verdict.CONSISTENT
    assert not [path for path in read if path.startswith("body/")]


def test_a_log_that_was_cut_below_it() -> None:
    book = Book()
    book.leaves = whole().leaves[:20]
    verified = check(book, saved(25))
    assert (Topic.SINCE, 20, Cause.CUT) in [(c.claim, c.index, c.cause) for c in verified.claims]
    assert verified.verdict is Verdict.FAIL


def test_a_log_that_was_rewritten_below_it() -> None:
    book = honest()
    book.change(3, nonce=bytes(16))
    verified = check(book, saved(25))
    failed = [c for c in verified.claims if c.outcome is Outcome.FAIL]
    assert [(c.claim, c.cause) for c in failed] == [(Topic.SINCE, Cause.FORKED)]
    assert {c.outcome for c in verified.claims if c.claim is Topic.CHAINS} == {Outcome.UNCHECKED}


def test_another_log_s_state_decides_nothing() -> None:
    state = read_state(saved(25))
    values = {name: getattr(state, name) for name in state.__struct_fields__}
    other = encode(type(state)(**{**values, "origin": "elsewhere.test/log"}))
    assert check(whole(), other).verdict is Verdict.UNCHECKED


def test_only_a_sound_log_leaves_a_state() -> None:
    book = honest()
    assert check(book, files=book.files().changed("checkpoint", None)).state is None
    assert check(book, log_only=True).state is None
    book.change(5, seq=99)
    assert check(book).state is None


# ---------------------------------------------------------------------- what later entries say of earlier ones


def since(book: Book, size: int) -> list[tuple[Topic, int | None, Cause | None]]:
    """What is found in the entries from that one on, by a verification that goes on from those before."""
    leaves = book.leaves
    book.leaves = leaves[:size]
    state = check(book).state
    book.leaves = leaves
    assert state is not None
    verified = check(book, state)
    return [(c.claim, c.index, c.cause) for c in verified.claims if c.outcome is not Outcome.PASS]


def test_an_alert_sent_again_after_the_state_was_saved() -> None:
    ladders = Ladders()
    size = len(ladders.book.leaves)
    again = ladders.send()
    assert since(ladders.book, size) == [(Topic.ALERTS, again, Cause.INJECTED)]


def test_a_rung_due_after_the_state_was_saved() -> None:
    ladders = Ladders()
    size = len(ladders.book.leaves)
    ladders.wait(900)
    assert since(ladders.book, size) == [(Topic.ESCALATION, ladders.sent, Cause.ESCALATION_SKIPPED)]


def test_a_ladder_goes_on_where_it_stood() -> None:
    ladders = Ladders()
    ladders.wait(120)
    ladders.fire(0)
    size = len(ladders.book.leaves)
    ladders.wait(300)
    ladders.fire(1)
    ladders.ack(ladders.ayo)
    ladders.ack(ladders.bea)
    ladders.wait(900)
    assert since(ladders.book, size) == []


def test_an_sos_that_one_ends_alone_after_the_state_was_saved() -> None:
    scene = Scene()
    alerts, root = _called(scene)
    size = len(scene.book.leaves)
    asked = _asked(scene, alerts, root)
    index = _down(scene, scene.ayo, alerts, root, asked)
    assert since(scene.book, size) == [(Topic.ALERTS, index, Cause.INJECTED)]


def test_what_a_device_heard_long_ago_is_compared() -> None:
    scene = Scene()
    for _ in range(40):
        scene.bea.message(scene.channel)
    size = len(scene.book.leaves)
    true = scene.ayo.message(scene.channel, heard=Heard(2, scene.book.rolling_at(scene.channel, 2)))
    false = scene.ayo.message(scene.channel, heard=Heard(2, b"x" * 32))
    assert true < false
    assert since(scene.book, size) == [(Topic.HEARD, false, Cause.FORKED)]


def test_a_vote_on_a_request_of_before() -> None:
    scene = Disclosing()
    request = scene.ask()
    size = len(scene.book.leaves)
    scene.vote(scene.chen, request)
    twice = scene.vote(scene.chen, request)
    assert since(scene.book, size) == [(Topic.DISCLOSURES, twice, Cause.SELF_APPROVAL)]


def test_a_state_is_the_same_however_it_was_come_to() -> None:
    month = october()
    book, size = month.book, len(month.book.leaves)
    files = book.published()
    whole = check(book, files=files).state
    leaves = book.leaves
    book.leaves = leaves[: month.reviewed]
    first = check(book, files=book.published()).state
    book.leaves = leaves
    assert len(leaves) == size
    assert check(book, first, files=files).state == whole


def test_what_was_heard_before_is_said_to_be_unchecked() -> None:
    scene = Scene()
    saved_state = check(scene.book).state
    assert saved_state is not None
    state = read_state(saved_state)
    streams = [StreamState(t.id, t.seq, t.rolling, t.parent, t.dense, t.history[-32:]) for t in state.streams]
    values = {name: getattr(state, name) for name in state.__struct_fields__}
    scene.ayo.message(scene.channel, heard=Heard(1, b"x" * 32))
    verified = check(scene.book, encode(type(state)(**{**values, "streams": streams})))
    assert verified.verdict is Verdict.UNCHECKED
    assert [c.claim for c in verified.claims if c.outcome is Outcome.UNCHECKED] == [Topic.HEARD]


class TestFile:
    def test_both_ways(self) -> None:
        data = saved(25)
        assert encode(read_state(data)) == data

    def test_truncated_or_longer(self) -> None:
        data = saved(12)
        for end in range(len(data)):
            with pytest.raises(Malformed):
                read_state(data[:end])
        with pytest.raises(Malformed):
            read_state(data + b"\0")

    def test_a_tree_that_is_none(self) -> None:
        state = read_state(saved(3))
        values = {name: getattr(state, name) for name in state.__struct_fields__}
        with pytest.raises(Malformed):
            read_state(encode(type(state)(**{**values, "tree": b"x"})))

    @pytest.mark.parametrize("part", ["charters", "certificates", "lists"])
    def test_parts_that_are_none(self, part: str) -> None:
        state = read_state(saved(25))
        values = {name: getattr(state, name) for name in state.__struct_fields__}
        with pytest.raises(Malformed):
            check(whole(), encode(type(state)(**{**values, part: [b"x"]})))
